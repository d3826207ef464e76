"""Made-up CRM records: what they say, the JSON each API shows of them, and how they are rendered fast."""
