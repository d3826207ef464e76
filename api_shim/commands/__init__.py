"""The commands of `hubspot-export`, by what they are about, and what they share; the shim imports none of them."""
