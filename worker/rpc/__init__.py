"""Remote procedure calls: the shim asks, a worker answers while a caller waits."""
