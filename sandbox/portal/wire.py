"""HTTP/1.1 on a socket, with all the ways in which an answer can fail to arrive."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import cast

import httptools

from sandbox.portal.messages import Answer, Ending, Request

_LINGER_NOTHING = struct.pack("ii", 1, 0)
"""SO_LINGER with 0 seconds: closing sends a reset instead of an orderly end."""


class Connection(asyncio.Protocol):
    """One client connection; requests on it are answered one after the other, pipelined ones too."""

    def __init__(self, answer: Callable[[Request], Answer], connections: set["Connection"]) -> None:
        self._answer = answer
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._target, self._headers, self._body = b"", dict[str, str](), bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # A server makes no other kind, but uvloop's are not registered as subclasses.
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        """End: answers under way have nobody to go to any more."""
        self._transport = None
        self._waiting.clear()
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes; what is no HTTP gets 400 and the connection closes."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._finish(Answer.json(400, {"status": "error", "message": "Bad Request"}), keep_alive=False)
            return
        # Not from the parser's callbacks: it would take an exception of ours for the client's mistake.
        self._next()

    def abort(self) -> None:
        """Drop the connection without another byte."""
        if self._transport:
            self._transport.abort()

    # The names of these five are httptools' own.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._target, self._headers, self._body = b"", {}, bytearray()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Queue the request behind those that came before."""
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
            return  # silent: the connection stays busy for ever
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

    def _trickle(self, answer: Answer, left: bytes, *, keep_alive: bool) -> None:
        """Send what is left of a body, one piece now and the others later."""
        if self._transport is None:
            return
        size = max(1, -(-len(answer.body) // answer.pieces))
        self._transport.write(left[:size])
        if len(left) > size:
            later = partial(self._trickle, answer, left[size:], keep_alive=keep_alive)
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
