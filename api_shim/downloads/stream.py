"""StreamedAnswer: a body of any length, produced in threads while it is sent."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import anyio
import anyio.to_thread
import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from worker.errors import ExportError

_log = structlog.get_logger()

_CHUNK_BYTES = 256 * 1024
_STEP_S = 0.05  # of work in a thread at a time; a disconnect is noticed after it


class StreamedAnswer(Response):
    """Sends chunks as fast as the client reads them, buffers two at most, and stops when the client disconnects.

    An error before the first chunk is raised and answered as any other. A later one cuts the connection: once the
    status is sent, a body without its end is the only way to report that it is incomplete.
    """

    def __init__(
        self,
        chunks: Iterator[bytes],
        *,
        threads: anyio.CapacityLimiter,
        media_type: str,
        headers: Mapping[str, str],
    ) -> None:
        self._chunks = chunks
        self._threads = threads
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        failure: ExportError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_when_gone, receive, group.cancel_scope)
            try:
                await self._send(send)
            except ExportError as error:  # leaving the task group, it would be wrapped in an ExceptionGroup
                failure = error
            group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _send(self, send: Send) -> None:
        chunk = await self._next()
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            while chunk is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                chunk = await self._next()
        except ExportError as error:
            _log.warning("download_cut", reason=error.code)
            return  # the server closes the connection of an answer without an end
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes | None:
        """Return the next chunk, None at the end."""
        while True:
            chunk = await anyio.to_thread.run_sync(_step, self._chunks, limiter=self._threads)
            if chunk != b"":
                return chunk


def gathered(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Join lines into chunks worth sending; a pause ends a chunk."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        chunk.append(line)
        size += len(line)
        if size >= _CHUNK_BYTES or not line:
            yield b"".join(chunk)
            chunk.clear()
            size = 0
    yield b"".join(chunk)


def _step(chunks: Iterator[bytes]) -> bytes | None:
    """Produce for at most `_STEP_S`; return what there is, possibly nothing yet, or None at the end."""
    ends_at = time.monotonic() + _STEP_S
    made = bytearray()
    for chunk in chunks:
        made += chunk
        if len(made) >= _CHUNK_BYTES or time.monotonic() >= ends_at:
            return bytes(made)
    return bytes(made) or None


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
