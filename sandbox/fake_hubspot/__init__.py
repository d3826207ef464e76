"""The fake HubSpot: a pure core that maps a request to an answer, and adapters that expose it."""
