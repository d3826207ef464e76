"""What the routes call: submitting, waiting, reading, and asking workers."""
