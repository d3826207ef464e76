"""The same contacts fetched by this product and by others, in one run."""
