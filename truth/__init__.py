"""The known truth: what the KPIs must be, computed from the opened checkouts and the rules alone."""
