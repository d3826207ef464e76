"""Questions of the shim that a worker answers while a caller waits."""
