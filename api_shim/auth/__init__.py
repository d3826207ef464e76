"""Authentication: JWTs and the keys that verify them."""
