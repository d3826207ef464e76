"""Scripted faults: the plan, and the recipes that carry it out."""
