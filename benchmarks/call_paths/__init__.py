"""How many of the product's files a call goes through: what a reader has to open to follow it."""
