"""Who calls: JWTs and the keys that they are checked with."""
