"""The commands of `hubspot-export`, a file a command; the shim imports none of them."""
