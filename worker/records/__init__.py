"""What HubSpot sends: record types, pages, ids, and repairs of odd JSON; pure."""
