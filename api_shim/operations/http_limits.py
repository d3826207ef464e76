"""BoundedHttpProtocol: uvicorn's HTTP with limits on sizes, times and the number of connections.

uvicorn limits none of these: it buffers headers of any size, and keeps a silent connection for ever
(docs/decisions/0029). Besides asyncio's callbacks, this class overrides those of the parser (`on_…`), the end of an
answer, and the idle timer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api_shim.operations import http_refusals
from api_shim.operations.http_connections import Admission, Connections
from api_shim.operations.http_refusals import (
    LARGE_HEADERS,
    LATE_HEAD,
    LONG_TARGET,
    MOST_HEADER_BYTES,
    MOST_HEADERS,
    MOST_TARGET_BYTES,
    NO_ROOM,
    NOT_HTTP,
    UPGRADE_WITH_BODY,
    Refusal,
)

_WITHIN_S = http_refusals.WITHIN_S
_MOST_HEAD_BYTES = MOST_TARGET_BYTES + MOST_HEADER_BYTES
_MOST_REQUEST_BYTES = 1024 * 1024  # far beyond the longest body: the client sends on although it was refused
_UNREAD_WITHIN_S = 120.0  # a client that has read nothing for so long is gone
_LINGER_S = 1.0
# uvloop looks at its timers before its sockets: after a stall of the process, a client whose bytes arrived in time
# seems late. One more turn of the loop reads them.
_SECOND_LOOK_S = 0.1
_BODY_FIELDS = frozenset({b"content-length", b"transfer-encoding"})
_PROBES = frozenset({b"/healthz", b"/readyz", b"/metrics"})


class _Expects(Enum):
    """What a connection expects from its client."""

    NOTHING = "nothing"
    REQUEST = "silent"
    HEAD = "head"
    BODY = "body"


class _RefusedError(Exception):
    """Stops the parser in the middle of a request."""


class BoundedHttpProtocol(HttpToolsProtocol):
    """Refuses requests that are too large or too slow in the documented body, and closes the connection.

    The first request has to begin within 10 s; the head and the body of each have to arrive within 10 s. Between two
    requests uvicorn's idle timer applies.
    """

    limits: ClassVar[Connections] = Connections(most=10_000)

    _admission = Admission.ORDINARY
    _refusal = NOT_HTTP
    _header_bytes = 0
    _header_count = 0
    _bytes_since_begin = 0  # without the chunk that the request began in
    _is_refused = False
    _expected = _Expects.NOTHING
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        self._unanswered = deque[RequestResponseCycle]()
        self._admission = self.limits.admit(self)
        if self._admission is Admission.REFUSED:
            transport.abort()
        else:
            self._expect(_Expects.REQUEST)

    def data_received(self, data: bytes) -> None:
        if self._has_ended():
            return
        self._bytes_since_begin += len(data)
        super().data_received(data)
        if self._has_ended():
            return
        if self._expected is _Expects.NOTHING and not self._is_answering:
            self._expect(_Expects.REQUEST)  # a bare line end: uvicorn stops its idle timer, but no request has begun
        self._note_who_waits()
        self._check_size()

    def connection_lost(self, exc: Exception | None) -> None:
        self.limits.leave(self)
        self._expect(_Expects.NOTHING)
        self.resume_writing()
        super().connection_lost(exc)
        # Of pipelined requests uvicorn notifies only the last, which need not be the one that is being answered.
        for cycle in self._unanswered:
            cycle.disconnected = True
            cycle.message_event.set()

    def pause_writing(self) -> None:
        """Start the timer for a client that reads slowly."""
        super().pause_writing()
        if self._unread is None:
            self._unread = self.loop.call_later(_UNREAD_WITHIN_S, self._cut, "unread")

    def resume_writing(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
        super().resume_writing()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes = self._header_count = self._bytes_since_begin = 0
        self._expect(_Expects.HEAD)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MOST_TARGET_BYTES:
            self._stop(LONG_TARGET)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count a field; trailers, which follow the body, count as well."""
        self._header_count += 1
        self._header_bytes += len(name) + len(value)
        if self._header_count > MOST_HEADERS or self._header_bytes > MOST_HEADER_BYTES:
            self._stop(LARGE_HEADERS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._admission is Admission.RESERVE and self.url.partition(b"?")[0] not in _PROBES:
            self._stop(NO_ROOM)
        # The parser would take the body for the other protocol's, and the request would be answered without it.
        if self.parser.should_upgrade() and _BODY_FIELDS & {name for name, _ in self.headers}:
            self._stop(UPGRADE_WITH_BODY)
        self._expect(_Expects.BODY)
        super().on_headers_complete()
        if self.cycle is not None:
            self._unanswered.append(self.cycle)

    def on_message_complete(self) -> None:
        self._bytes_since_begin = 0
        self._expect(_Expects.NOTHING)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Expect the next request, unless the connection was admitted for a single answer."""
        while self._unanswered and self._unanswered[0].response_complete:
            self._unanswered.popleft()
        if self._admission is Admission.RESERVE:
            self.transport.close()  # before uvicorn starts a pipelined request
        super().on_response_complete()
        self._note_who_waits()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless it holds a request that has not been read: its client would see a reset."""
        close = super().timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(_SECOND_LOOK_S, close)

    def shutdown(self) -> None:
        """Close the connection when the server stops, after answering a request that has already arrived."""
        self.loop.call_later(_SECOND_LOOK_S, super().shutdown)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's, which calls it when the parser stops
        """Answer with the reason for which the parser was stopped."""
        self._refuse(self._refusal)

    def close_idle(self) -> None:
        """Close the connection, even if the client has not read the last answer."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            self.transport.close()

    def _expect(self, what: _Expects) -> None:
        self._expected = what
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if what is not _Expects.NOTHING:
            self._late = self.loop.call_later(_WITHIN_S, self._look_again)

    def _look_again(self) -> None:
        # A route that reads the body gives up at this moment, and has to answer first.
        patience_s = _LINGER_S if self._expected is _Expects.BODY else _SECOND_LOOK_S
        self._late = self.loop.call_later(patience_s, self._give_up)

    def _give_up(self) -> None:
        if self._expected is _Expects.HEAD:
            self.limits.closed["head"] += 1
            self._refuse(LATE_HEAD)
        else:
            self._cut(self._expected.value)

    def _cut(self, reason: str) -> None:
        self.limits.closed[reason] += 1
        self.close_idle()

    def _check_size(self) -> None:
        """Count the bytes themselves: the parser does not report a field before its end."""
        if self._expected is _Expects.HEAD and self._bytes_since_begin > _MOST_HEAD_BYTES:
            self._refuse(LARGE_HEADERS)
        elif self._bytes_since_begin > _MOST_REQUEST_BYTES:
            self.transport.close()

    def _note_who_waits(self) -> None:
        if self._is_answering and self._expected is not _Expects.BODY:
            self.limits.work(self)
        else:
            self.limits.wait(self)

    def _stop(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise _RefusedError

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, and close the connection a moment later: with unread input it would be reset, and the answer lost.

        If an earlier request of the connection is being answered, that answer is cut off.
        """
        self._expect(_Expects.NOTHING)
        if self._is_answering:
            self.transport.close()
            return
        self._is_refused = True
        self.transport.write(refusal.answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def _has_ended(self) -> bool:
        return self._is_refused or self.transport.is_closing()

    @property
    def _is_answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete


def bounded_by(connections: Connections) -> type[BoundedHttpProtocol]:
    """Return a protocol class with these limits; uvicorn takes a class, not an instance."""
    return type("BoundedHttpProtocol", (BoundedHttpProtocol,), {"limits": connections})
