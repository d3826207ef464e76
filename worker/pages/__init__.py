"""The stored pages of jobs."""
