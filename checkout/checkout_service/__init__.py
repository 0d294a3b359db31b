"""The checkout service: shoppers open checkouts, and submit or leave them step by step."""
