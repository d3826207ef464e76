"""The current copy of an account's records, brought up to date by syncs."""
