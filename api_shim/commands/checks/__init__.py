"""What the doctor checks, a file a dependency."""
