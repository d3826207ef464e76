"""StreamedAnswer: a body of any length, made in threads while it is sent."""

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
_STEP_S = 0.05  # at work in a thread at once: so soon is noticed that the client has gone


class StreamedAnswer(Response):
    """Sends chunks as fast as the client takes them, holds two at most, and stops when the client goes away.

    What fails before the first one is raised, and so answered as any other error. What fails later cuts the connection:
    a body without its end is the only way left to say that it is not whole.
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
        """Send it all, or as much as the client waits for."""
        failure: ExportError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_when_gone, receive, group.cancel_scope)
            try:
                await self._send(send)
            except ExportError as error:  # out of a group it would come wrapped
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
            return  # the server closes the connection of an answer that was not brought to its end
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self) -> bytes | None:
        """Give what to send next, None at the end."""
        while True:
            chunk = await anyio.to_thread.run_sync(_step, self._chunks, limiter=self._threads)
            if chunk != b"":
                return chunk


def gathered(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Put lines together into chunks of a size worth sending; a pause among them stays one."""
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
    """Make chunks for a moment; give what came of it, perhaps nothing yet, or None when there is no more."""
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
