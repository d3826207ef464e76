"""The parts the HubSpot sandbox is built from: a pure core that turns one request into one answer, and its doors."""
