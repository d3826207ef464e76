"""What skips tests where RabbitMQ is not installed."""

from __future__ import annotations

import os

import pytest

from sandbox.servers.rabbitmq import is_installed


def require_rabbitmq() -> None:
    """Skip a test where Debian's package rabbitmq-server is not installed; fail it in CI, which installs it."""
    if is_installed():
        return
    if os.environ.get("CI"):
        pytest.fail("rabbitmq-server is not installed")
    pytest.skip("rabbitmq-server is not installed")
