"""The whole system under load and under faults drawn from a seed, and an independent record of what it did."""
