"""HubSpot's OAuth: access tokens, their renewal, and what HubSpot says of them."""
