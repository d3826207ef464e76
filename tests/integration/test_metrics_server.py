"""A worker's metrics over HTTP: they are served, and a port that cannot be had does not stop the worker."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import requests
from structlog.testing import capture_logs

from sandbox.servers.ports import HOST, ReservedPort
from tests.patience import PATIENCE_S
from worker.telemetry.metrics import JobMetrics, new_registry, serve_metrics


@pytest.fixture
def taken() -> Iterator[int]:
    """Return a port that is in use."""
    with socket.create_server((HOST, 0)) as server:
        yield server.getsockname()[1]


def test_metrics_are_served() -> None:
    registry, port = new_registry(), ReservedPort()
    JobMetrics(registry).published.inc(3)

    serve_metrics(registry, host=HOST, port=port.number)

    shown = requests.get(f"http://{HOST}:{port.number}/metrics", timeout=PATIENCE_S).text
    assert "\nhubspot_export_publishes_total 3.0\n" in shown


def test_a_port_that_is_taken_is_one_clear_line_and_no_end(taken: int) -> None:
    with capture_logs() as logs:
        serve_metrics(new_registry(), host=HOST, port=taken)

    (line,) = logs
    assert (line["event"], line["log_level"], line["port"]) == ("metrics_not_served", "error", taken)
    assert line["reason"] == "Address already in use"


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_this_machines_is_one_too(host: str) -> None:
    with capture_logs() as logs:
        serve_metrics(new_registry(), host=host, port=ReservedPort().number)

    assert [line["event"] for line in logs] == ["metrics_not_served"]
