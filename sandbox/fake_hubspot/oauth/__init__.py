"""HubSpot's OAuth: consent, token endpoints, introspection and revocation."""
