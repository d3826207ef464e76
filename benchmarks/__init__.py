"""What is fast and how it grows, measured against something else in the same run."""
