"""The servers that a stack embeds, with their programs, ports and certificates."""
