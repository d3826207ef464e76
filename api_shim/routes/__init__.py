"""The routes, one file a resource: each parses, calls one object, serialises."""
