"""The cost of a download, in time and in the shim's memory."""
