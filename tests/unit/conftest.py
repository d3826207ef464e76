"""Unit tests speak to nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def closed_sockets() -> Iterator[None]:
    """Close sockets, but those that an event loop wakes itself with."""
    disable_socket(allow_unix_socket=True)
    yield
    enable_socket()
