"""The stores of accounts on MongoDB."""
