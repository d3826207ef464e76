"""Commands about an account: its connection, its schedule, its current copy."""
