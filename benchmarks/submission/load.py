"""The load, in a process of its own: so many requests a second, whatever becomes of them; or as many as go.

    python -m benchmarks.submission.load --url URL [--rate N | --connections N] --seconds S [--keyed | --get] <JWT

Prints JSON: what came of each request, and how many seconds it took. Under a rate the time begins when a request was
due, so that one that waits behind a slow one is as slow.
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
    """HTTP as far as this needs it: one request at a time, answers with a length."""

    def __init__(self) -> None:
        self._received = b""
        self._answer: asyncio.Future[int] | None = None
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what to write to."""
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        """Collect an answer."""
        self._received += data
        head, end, body = self._received.partition(_END_OF_HEAD)
        if end and len(body) >= _length(head) and self._answer is not None:
            self._received = b""
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        """Tell who waits."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(_LOST)

    @property
    def is_open(self) -> bool:
        """Whether the server has not closed it meanwhile, as it does with those that are idle for seconds."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> int:
        """Give the answer's status, or 0 where none came."""
        assert self._transport is not None  # noqa: S101 - it is connected
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


def _length(head: bytes) -> int:
    start = head.lower().index(_LENGTH) + len(_LENGTH)
    return int(head[start:].split(b"\r\n", 1)[0])


@dataclass
class Load:
    """Where to, with what, and what came of it."""

    host: str
    port: int
    request: Callable[[], bytes]
    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    _idle: list[Connection] = field(default_factory=list)

    async def at_rate(self, rate: int, *, seconds: float) -> None:
        """Send each request when it is due; over another connection where all are busy."""
        loop = asyncio.get_running_loop()
        begins_at = loop.time() + _LEAD_S
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due_at = begins_at + number / rate
                await asyncio.sleep(max(0.0, due_at - loop.time()))
                group.create_task(self._ask(due_at))

    async def at_once(self, connections: int, *, seconds: float) -> None:
        """Keep so many connections busy."""
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
    """Send, and print what came of it."""
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
