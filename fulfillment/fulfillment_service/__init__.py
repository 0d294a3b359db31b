"""The fulfillment service: ships and delivers what the merchant accepted."""
