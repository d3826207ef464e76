"""HTTP/1.1 on a socket, including every way in which an answer can fail to arrive."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import cast

import httptools

from sandbox.fake_hubspot.messages import Answer, Ending, Request

_LINGER_NOTHING = struct.pack("ii", 1, 0)
"""SO_LINGER with 0 seconds: closing sends RST instead of FIN."""


class Connection(asyncio.Protocol):
    """One client connection; requests are answered in sequence, pipelined ones too."""

    def __init__(self, answer: Callable[[Request], Answer], connections: set["Connection"]) -> None:
        self._answer = answer
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._target, self._headers, self._body = b"", dict[str, str](), bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast, because uvloop's transports are not registered as subclasses.
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """Drop pending answers."""
        self._transport = None
        self._waiting.clear()
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Parse; anything but HTTP is answered 400 and the connection closes."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._finish(Answer.json(400, {"status": "error", "message": "Bad Request"}), keep_alive=False)
            return
        # Outside the parser's callbacks, because it would report our own exceptions as parse errors.
        self._next()

    def abort(self) -> None:
        """Close the connection without sending more."""
        if self._transport:
            self._transport.abort()

    # The next five are callbacks of httptools.

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", {}, bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        """Queue the request behind pipelined ones."""
        method, target = self._parser.get_method().decode(), self._target.decode("latin-1")
        request = Request.of(method, target, headers=self._headers, body=bytes(self._body))
        self._waiting.append((request, self._parser.should_keep_alive()))

    def _next(self) -> None:
        while self._waiting and not self._busy:
            request, keep_alive = self._waiting.popleft()
            self._busy = True
            answer = self._answer(request)
            if not answer.delay_s:
                self._finish(answer, keep_alive=keep_alive)
                continue
            asyncio.get_running_loop().call_later(answer.delay_s, self._finish_late, answer, keep_alive)

    def _finish_late(self, answer: Answer, keep_alive: bool) -> None:  # noqa: FBT001  # call_later passes by position
        self._finish(answer, keep_alive=keep_alive)
        self._next()

    def _finish(self, answer: Answer, *, keep_alive: bool) -> None:
        transport = self._transport
        if transport is None or answer.ending is Ending.SILENT:
            return  # silent: `_busy` stays set, so that later requests get no answer either
        if answer.ending is Ending.RESET:
            _reset(transport)
            return
        head = [*map(_interim, answer.interim), _head(answer, keep_alive=keep_alive)]
        body = answer.body[: answer.cut_after]
        if answer.trickle_s:
            transport.writelines(head)
            self._trickle(answer, body, keep_alive=keep_alive)
            return
        transport.writelines([*head, body])
        self._end(answer, keep_alive=keep_alive)

    def _trickle(self, answer: Answer, remaining: bytes, *, keep_alive: bool) -> None:
        """Send one piece of the remaining body now and schedule the others."""
        if self._transport is None:
            return
        size = max(1, -(-len(answer.body) // answer.pieces))
        self._transport.write(remaining[:size])
        if len(remaining) > size:
            later = partial(self._trickle, answer, remaining[size:], keep_alive=keep_alive)
            asyncio.get_running_loop().call_later(answer.trickle_s / answer.pieces, later)
            return
        self._end(answer, keep_alive=keep_alive)
        self._next()

    def _end(self, answer: Answer, *, keep_alive: bool) -> None:
        self._busy = False
        if self._transport is not None and (answer.cut_after is not None or not keep_alive):
            self._transport.close()


def _reset(transport: asyncio.Transport) -> None:
    connection: socket.socket = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
    transport.abort()


def _head(answer: Answer, *, keep_alive: bool) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_phrase(answer.status)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    lines += [f"content-length: {len(answer.body)}", *(() if keep_alive else ("connection: close",)), "", ""]
    return "\r\n".join(lines).encode("latin-1")


def _interim(status: int) -> bytes:
    return f"HTTP/1.1 {status} {_phrase(status)}\r\nlink: </hint>; rel=preload\r\n\r\n".encode()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:  # 477 and 52x are HubSpot's and Cloudflare's own
        return "Unofficial"
