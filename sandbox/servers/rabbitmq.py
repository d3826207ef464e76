"""The machine's RabbitMQ as a single node, over TLS or as a cluster, in a temporary folder and on loopback ports."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self
from uuid import uuid4

from sandbox import environment
from sandbox.processes import Command, Process, stop_all
from sandbox.servers.certificates import Certificate
from sandbox.servers.ports import HOST, ReservedPort

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")  # the scripts in /usr/sbin switch to another user
_HEADER = b"AMQP\x00\x00\x09\x01"
_READY_S = 120.0  # an Erlang node starts slowly on a loaded machine


def is_installed() -> bool:
    """Return whether Debian's package rabbitmq-server is installed."""
    return (_PROGRAMS / "rabbitmq-server").exists() and shutil.which("epmd") is not None


class PortMapper:
    """Erlang's port mapper (epmd), and the home folder with the cookie that all its nodes share."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._port = ReservedPort()
        self.environment = {
            **environment.inherited(),
            "HOME": str(folder),  # Erlang stores the cookie there
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._port.number),
        }
        self.process = Process(
            name="epmd",
            command=Command(
                arguments=["epmd", "-address", HOST, "-port", str(self._port.number)],
                environment=self.environment,
                folder=folder,
            ),
            log=folder / "epmd.log",
        )


class RabbitServer:
    """A RabbitMQ node that keeps its data and its port over restarts.

    With a `certificate` it accepts TLS only. `lines` are appended to its configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        mapper: PortMapper | None = None,
        name: str | None = None,
        certificate: Certificate | None = None,
        lines: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir()
        ports = ReservedPort(), ReservedPort()
        self._ports = ports
        self._own_mapper = None if mapper else PortMapper(folder)
        self._certificate = certificate
        self.name = name or f"rabbit-{uuid4().hex[:8]}@localhost"
        (folder / "rabbitmq.conf").write_text("\n".join((*self._listeners(), *lines, "")))
        inherited = {
            **(mapper or self._own_mapper or PortMapper(folder)).environment,
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_DIST_PORT": str(ports[1].number),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}",
        }
        if certificate is None:
            inherited["RABBITMQ_NODE_PORT"] = str(self.port)
        self._server = Process(
            name=self.name,
            command=Command(arguments=[str(_PROGRAMS / "rabbitmq-server")], environment=inherited, folder=folder),
            log=folder / "rabbitmq.log",
            ready=lambda _: self._answers(),
        )
        self._ask = Command(arguments=[str(_PROGRAMS / "rabbitmqctl")], environment=inherited, folder=folder)

    @property
    def url(self) -> str:
        """The URL with RabbitMQ's default user, which may connect from loopback only."""
        return f"{'amqps' if self._certificate else 'amqp'}://guest:guest@{HOST}:{self._ports[0].number}//"

    @property
    def port(self) -> int:
        return self._ports[0].number

    def start(self) -> Self:
        """Start the node and wait until it is ready."""
        return self.begin().wait_ready()

    def begin(self) -> Self:
        """Start the node and return immediately."""
        if self._own_mapper and not self._own_mapper.process.is_alive:
            self._own_mapper.process.start()
        self._server.start()
        return self

    def wait_ready(self) -> Self:
        self._server.wait_ready(timeout_s=_READY_S)
        return self

    def queues(self) -> list[str]:
        return self.control("list_queues", "name").split()

    def control(self, *words: str) -> str:
        """Run a rabbitmqctl command against the node; return its output."""
        done = subprocess.run(
            [*self._ask.arguments, "--silent", *words],
            env=dict(self._ask.environment),
            cwd=self._ask.folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=_READY_S,
        )
        return done.stdout

    def save_queues(self) -> None:
        """Let the node write to disk which quorum queues it has.

        RabbitMQ 3.10 does so half a second after the last one was declared. If it is killed before, the queue is there
        after a restart, but confirms no message and answers no consumer.
        """
        self.control("eval", "ok = dets:sync(ra_directory_reverse).")

    def kill(self) -> None:
        """Kill the node, as a power cut would."""
        self._server.kill()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the whole process group: the node runs below shell scripts."""
        os.killpg(self._server.pid, number)

    def stop(self) -> None:
        """Stop the node, and the port mapper if it is not shared."""
        stop_all([self._server], grace_s=20)
        if self._own_mapper:
            stop_all([self._own_mapper.process], grace_s=2)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _listeners(self) -> tuple[str, ...]:
        if self._certificate is None:
            return ()
        return (
            "listeners.tcp = none",
            f"listeners.ssl.1 = {HOST}:{self.port}",
            f"ssl_options.certfile = {self._certificate.certificate}",
            f"ssl_options.keyfile = {self._certificate.key}",
            "ssl_options.verify = verify_none",
        )

    def _answers(self) -> bool:
        """Return whether the node answers the AMQP header: the port opens earlier."""
        with suppress(OSError), self._connect() as connection:
            connection.settimeout(2)
            connection.sendall(_HEADER)
            return connection.recv(7)[:1] == b"\x01"
        return False

    def _connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self.port), timeout=1)
        if self._certificate is None:
            return connection
        try:
            return _trusting().wrap_socket(connection)
        except OSError:
            connection.close()
            raise


@contextmanager
def rabbit_cluster(folder: Path, *, nodes: int = 3) -> Iterator[list[RabbitServer]]:
    """Run a cluster; with three nodes its quorum queues survive the loss of one."""
    folder.mkdir()
    mapper = PortMapper(folder / "mapper")
    names = [f"rabbit-{uuid4().hex[:8]}@localhost" for _ in range(nodes)]
    members = (f"nodes.{number} = {name}" for number, name in enumerate(names, start=1))
    lines = (
        "net_ticktime = 10",  # s until the others notice that a node is frozen; until then they wait for it
        "cluster_formation.peer_discovery_backend = classic_config",
        *(f"cluster_formation.classic_config.{member}" for member in members),
    )
    servers = [RabbitServer(folder / name, mapper=mapper, name=name, lines=lines) for name in names]
    with ExitStack() as running:
        running.callback(stop_all, [mapper.process], grace_s=2)
        mapper.process.start()
        for server in servers:
            running.callback(server.stop)
            server.begin()
        for server in servers:
            server.wait_ready()
        yield servers


def _trusting() -> ssl.SSLContext:
    """Return a context that accepts any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
