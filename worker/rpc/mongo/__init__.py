"""The store of RPC requests on MongoDB."""
