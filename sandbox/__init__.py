"""Everything the product talks to, on this machine: a fake HubSpot, embedded servers, and the whole stack."""
