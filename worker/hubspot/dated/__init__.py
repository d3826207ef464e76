"""The dated API: its object lists and searches, and the shapes that their records are written in."""
