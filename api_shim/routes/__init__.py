"""The routes, a file a resource: each parses, calls one object, serialises."""
