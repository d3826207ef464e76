"""The adapters of the fake HubSpot: a socket server, a mount for `responses`, and gzip."""
