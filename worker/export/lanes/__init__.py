"""Lanes: one export read in several parts at once."""
