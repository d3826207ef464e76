"""Definitions: what HubSpot defines for an account: types, properties, pipelines, owners."""
