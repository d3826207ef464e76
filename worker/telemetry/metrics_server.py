"""Serves a worker's metrics over HTTP, from a thread of its own."""

from __future__ import annotations

import structlog
from prometheus_client import CollectorRegistry, start_http_server

_log = structlog.get_logger()


def serve_metrics(registry: CollectorRegistry, *, host: str, port: int) -> None:
    """Serve for as long as this process lives; where the address cannot be had, say so and do without."""
    try:
        start_http_server(port, host, registry)
    except OSError as error:
        _log.error("metrics_not_served", host=host, port=port, reason=error.strerror or str(error))
        return
    _log.info("metrics_served", host=host, port=port)
