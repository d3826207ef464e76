"""Running the shim: request log, limits, metrics, readiness."""
