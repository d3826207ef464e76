"""Generated CRM records: their contents, their JSON in each API, and a fast renderer."""
