"""The commands of `python -m sandbox`: `demo` and `up`."""
