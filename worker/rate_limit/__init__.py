"""HubSpot's rate limits, shared by all workers."""
