"""A RabbitMQ of this machine for one test: its own folder, ports and Erlang port mapper, on loopback alone."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

import pytest

from sandbox import environment
from sandbox.ports import HOST, ReservedPort
from sandbox.processes import Command, Process, stop_all

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # the scripts below /usr/sbin change the user
_HEADER = b"AMQP\x00\x00\x09\x01"
_READY_S = 120.0  # a starved machine takes its time to start an Erlang system


def require_rabbitmq() -> None:
    """Skip a test where Debian's package rabbitmq-server is not installed; fail it in CI, which installs it."""
    if (_PROGRAMS / "rabbitmq-server").exists() and shutil.which("epmd"):
        return
    if os.environ.get("CI"):
        pytest.fail("rabbitmq-server is not installed")
    pytest.skip("rabbitmq-server is not installed")


class RabbitServer:
    """A broker that keeps its data and its port over restarts."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        ports = ReservedPort(), ReservedPort(), ReservedPort()
        self._ports = ports
        names = {
            "HOME": str(folder),  # where the cookie lies
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(ports[1].number),
            "RABBITMQ_NODENAME": f"rabbit-{uuid4().hex[:8]}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(ports[0].number),
            "RABBITMQ_DIST_PORT": str(ports[2].number),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
        }
        inherited = {**environment.inherited(), **names}
        self._mapper = Process(
            name="epmd",
            command=Command(
                arguments=["epmd", "-address", HOST, "-port", str(ports[1].number)],
                environment=inherited,
                folder=folder,
            ),
            log=folder / "epmd.log",
        )
        self._server = Process(
            name="rabbitmq",
            command=Command(arguments=[str(_PROGRAMS / "rabbitmq-server")], environment=inherited, folder=folder),
            log=folder / "rabbitmq.log",
            ready=lambda _: self._answers(),
        )
        self._ask = Command(arguments=[str(_PROGRAMS / "rabbitmqctl")], environment=inherited, folder=folder)

    @property
    def url(self) -> str:
        """The address, with the user that may come from loopback alone."""
        return f"amqp://guest:guest@{HOST}:{self._ports[0].number}//"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._ports[0].number

    def start(self) -> Self:
        """Start it and wait until it answers."""
        if not self._mapper.is_alive:
            self._mapper.start()
        self._server.start().wait_ready(timeout_s=_READY_S)
        return self

    def queues(self) -> list[str]:
        """Name the queues that exist."""
        listed = subprocess.run(
            [*self._ask.arguments, "--silent", "list_queues", "name"],
            env=dict(self._ask.environment),
            cwd=self._ask.folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=_READY_S,
        )
        return listed.stdout.split()

    def kill(self) -> None:
        """End it as a power cut would."""
        self._server.kill()

    def stop(self) -> None:
        """End everything."""
        stop_all([self._server], grace_s=20)
        stop_all([self._mapper], grace_s=2)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        """Whether it speaks AMQP: the port opens a moment before."""
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1) as connection:
            connection.settimeout(2)
            connection.sendall(_HEADER)
            return connection.recv(7)[:1] == b"\x01"
        return False
