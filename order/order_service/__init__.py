"""The order service: turns submitted checkouts into orders and leads them to COMPLETED or CANCELLED."""
