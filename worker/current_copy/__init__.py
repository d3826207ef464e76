"""The current copy of an account's records, which syncs keep up to date."""
