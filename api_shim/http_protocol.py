"""BoundedHttpProtocol: uvicorn's HTTP with an end to how much a request may say, and how slowly, before it is heard."""

from __future__ import annotations

import asyncio
import json

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

MOST_TARGET_BYTES = 32 * 1024
MOST_HEADER_BYTES = 32 * 1024
MOST_HEADERS = 100

_MOST_HEAD_BYTES = MOST_TARGET_BYTES + MOST_HEADER_BYTES
_MOST_REQUEST_BYTES = 1024 * 1024  # far behind the longest body: it was refused, and still more of it comes
_HEAD_WITHIN_S = 10.0
_LINGER_S = 1.0
# uvloop looks at its clock before its sockets: to a process that was held up, by its machine or by work of its own,
# a client seems late whose bytes have long been there. One more turn of the loop reads them.
_SECOND_LOOK_S = 0.1

_NOT_HTTP = (400, "The request is not HTTP")
_LONG_TARGET = (414, f"target: must be at most {MOST_TARGET_BYTES} bytes")
_LARGE_HEADERS = (431, f"headers: must be at most {MOST_HEADER_BYTES} bytes and {MOST_HEADERS} fields in all")
_LATE_HEAD = (408, f"headers: must arrive within {_HEAD_WITHIN_S:g} seconds")


class _RefusedError(Exception):
    """Stops the parser in the middle of a request."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Answers what is too large or too slow in the documented body, and ends the connection.

    uvicorn itself keeps headers of any size and any number, for as long as they come.
    """

    _problem = _NOT_HTTP
    _header_bytes = 0
    _header_count = 0
    _is_in_head = False
    _bytes_since_begin = 0  # without the chunk that the request began in
    _is_refused = False
    _late: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Take in a chunk, unless the answer is given."""
        if self._is_refused:
            return
        self._bytes_since_begin += len(data)
        super().data_received(data)
        self._check_size()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        self._end_wait()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """Begin to count."""
        super().on_message_begin()
        self._is_in_head = True
        self._header_bytes = self._header_count = self._bytes_since_begin = 0
        self._late = self.loop.call_later(_HEAD_WITHIN_S, self._look_again_for_head)

    def on_url(self, url: bytes) -> None:
        """Take in a part of the target."""
        super().on_url(url)
        if len(self.url) > MOST_TARGET_BYTES:
            self._stop(_LONG_TARGET)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take in a field, one of those that may follow the body as well."""
        self._header_count += 1
        self._header_bytes += len(name) + len(value)
        if self._header_count > MOST_HEADERS or self._header_bytes > MOST_HEADER_BYTES:
            self._stop(_LARGE_HEADERS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Have the request answered."""
        self._is_in_head = False
        self._end_wait()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Count from the start with what comes next."""
        self._bytes_since_begin = 0
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless a request is there that nobody has read: it would meet a reset."""
        close = super().timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(_SECOND_LOOK_S, close)

    def shutdown(self) -> None:
        """End the connection when the server stops: after the request that is there already, if there is one."""
        self.loop.call_later(_SECOND_LOOK_S, super().shutdown)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's, which calls it when the parser stops
        """Answer what the parser stopped for."""
        self._refuse(self._problem)

    def _look_again_for_head(self) -> None:
        self._late = self.loop.call_later(_SECOND_LOOK_S, self._refuse, _LATE_HEAD)

    def _check_size(self) -> None:
        """Look at the bytes themselves: of a field that has no end yet the parser tells nobody."""
        if self._is_refused or self.transport.is_closing():
            return
        if self._is_in_head and self._bytes_since_begin > _MOST_HEAD_BYTES:
            self._refuse(_LARGE_HEADERS)
        elif self._bytes_since_begin > _MOST_REQUEST_BYTES:
            self.transport.close()

    def _stop(self, problem: tuple[int, str]) -> None:
        self._problem = problem
        raise _RefusedError

    def _refuse(self, problem: tuple[int, str]) -> None:
        """Answer, and end the connection; a moment later, or what still comes would take the answer with it.

        What is answered at the moment, an earlier request of the same connection, is cut off.
        """
        self._end_wait()
        if self._is_answering:
            self.transport.close()
            return
        self._is_refused = True
        self.transport.write(_answer(*problem))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    @property
    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _end_wait(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def _answer(status: int, message: str) -> bytes:
    body = json.dumps({"success": False, "errno": status, "message": message, "code": "invalid_request"}).encode()
    head = (
        b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"
        b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body)
    )
    return STATUS_LINE[status] + head + body
