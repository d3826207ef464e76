"""Engagements of the dated API: five lists, merged by id into the shape of the one legacy feed."""
