"""The RabbitMQ that tests of the group "rabbitmq" share; a test that kills it starts it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.servers.rabbitmq import RabbitServer
from tests.acceptance.rabbitmq import require_rabbitmq


@pytest.fixture(scope="session")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitServer]:
    require_rabbitmq()
    with RabbitServer(tmp_path_factory.mktemp("broker") / "rabbitmq") as server:
        yield server
        server.kill()  # an orderly end takes seconds
