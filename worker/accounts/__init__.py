"""What is stored of an account's access to HubSpot: tokens, connections, portals."""
