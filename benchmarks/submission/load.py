"""The load generator, in a process of its own: an open loop at a fixed rate, or a closed loop over some connections.

    python -m benchmarks.submission.load --url URL [--rate N | --connections N] --seconds S [--keyed | --get] <JWT

Prints the counts of statuses and the seconds of each request as JSON. At a rate, the time of a request starts when it
is due, so that waiting behind a slow one counts (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit
from uuid import uuid4

import click
import uvloop

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length: "
_LEAD_S = 0.2
_LOST = 0


class Connection(asyncio.Protocol):
    """A minimal HTTP client: one request at a time, responses with a content-length."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(_END_OF_HEAD)
        if end and len(body) >= _length(head) and self._answer is not None:
            self._received = b""
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(_LOST)

    @property
    def is_open(self) -> bool:
        """False after the server has closed it, as it does with idle connections."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> int:
        """Return the status of the response, 0 if the connection was lost."""
        assert self._transport is not None  # noqa: S101 - connected
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


def _length(head: bytes) -> int:
    start = head.lower().index(_LENGTH) + len(_LENGTH)
    return int(head[start:].split(b"\r\n", 1)[0])


@dataclass
class Load:
    """The target, the request, and the results so far."""

    host: str
    port: int
    request: Callable[[], bytes]
    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    _idle: list[Connection] = field(default_factory=list)

    async def at_rate(self, rate: int, *, seconds: float) -> None:
        """Send each request when it is due, over a new connection if all are busy."""
        loop = asyncio.get_running_loop()
        begins_at = loop.time() + _LEAD_S
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due_at = begins_at + number / rate
                await asyncio.sleep(max(0.0, due_at - loop.time()))
                group.create_task(self._ask(due_at))

    async def at_once(self, connections: int, *, seconds: float) -> None:
        """Keep `connections` connections busy."""
        ends_at = asyncio.get_running_loop().time() + seconds
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._ask_until(ends_at))

    async def _ask_until(self, ends_at: float) -> None:
        loop = asyncio.get_running_loop()
        while (now := loop.time()) < ends_at:
            await self._ask(now)

    async def _ask(self, began_at: float) -> None:
        loop = asyncio.get_running_loop()
        connection = await self._free_connection()
        status = await connection.ask(self.request())
        self.seconds.append(loop.time() - began_at)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status != _LOST:
            self._idle.append(connection)

    async def _free_connection(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                return connection
        _, connection = await asyncio.get_running_loop().create_connection(Connection, self.host, self.port)
        return connection


def _request(host: str, path: str, token: str, *, key: str | None, is_get: bool) -> bytes:
    method, fields, body = (
        ("GET", [], "") if is_get else ("POST", ["Content-Type: application/json", "Content-Length: 2"], "{}")
    )
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {host}",
        f"Authorization: Bearer {token}",
        *([f"Idempotency-Key: {key}"] if key is not None else []),
        *fields,
        "",
        body,
    ]
    return "\r\n".join(lines).encode()


@click.command()
@click.option("--url", required=True)
@click.option("--rate", type=int)
@click.option("--connections", type=int, default=16)
@click.option("--seconds", type=float, required=True)
@click.option("--keyed", is_flag=True)
@click.option("--get", "is_get", is_flag=True)
def main(url: str, rate: int | None, connections: int, seconds: float, *, keyed: bool, is_get: bool) -> None:  # noqa: PLR0913 - its options
    """Send the load and print the results."""
    token = sys.stdin.read().strip()
    parts = urlsplit(url)

    def request() -> bytes:
        return _request(parts.netloc, parts.path, token, key=uuid4().hex if keyed else None, is_get=is_get)

    load = Load(host=parts.hostname or "", port=parts.port or 80, request=request)
    sending = load.at_rate(rate, seconds=seconds) if rate else load.at_once(connections, seconds=seconds)
    gc.disable()
    uvloop.run(sending)
    json.dump({"seconds": load.seconds, "statuses": load.statuses}, sys.stdout)


if __name__ == "__main__":
    main()
