"""What has changed and what was deleted, by the search and the recycle bin of the dated API."""
