"""The stores of the current copy on MongoDB."""
