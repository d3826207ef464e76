"""The same contacts, fetched by this product and by other programs, in one run."""
