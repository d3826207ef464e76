"""HubSpot's side of the product; HubSpot's vocabulary ends here."""
