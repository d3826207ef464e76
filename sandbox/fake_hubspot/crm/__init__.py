"""HubSpot's CRM endpoints: the legacy and the dated lists, the feeds, and metadata."""
