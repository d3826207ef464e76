"""The stores on MongoDB, one a file, each with the indexes it needs."""
