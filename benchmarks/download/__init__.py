"""What a download costs, in time and in the shim's memory."""
