"""AnswerReader: bodies of answers, read to their end within the memory that there is for them."""

from __future__ import annotations

import threading
from typing import Protocol

from worker.errors import AnswerTooLargeError

_MOST_BYTES = 256 * 1024 * 1024  # of an answer, unpacked; the largest page seen had 43 MB
_MOST_BYTES_AT_ONCE = 512 * 1024 * 1024  # of all answers that a process is reading
_SMALL_BYTES = 32 * 1024 * 1024  # what an answer may have however many others there are
_PIECE = 256 * 1024


class Body(Protocol):
    """A body on its way."""

    def read1(self, amount: int, *, decode_content: bool) -> bytes:
        """Return what has come, unpacked, or wait for some; nothing at the end."""


class AnswerReader:
    """Reads the bodies of all answers that come to this process, those that come at once as well."""

    def __init__(self) -> None:
        self._room = _Room()

    def read(self, body: Body) -> bytes:
        """Read a body to its end. Raises AnswerTooLargeError; its time is the matter of who has asked."""
        size, pieces = 0, []
        try:
            # `read1` gives what has come; `iter_content` waits for a whole piece.
            while piece := body.read1(_PIECE, decode_content=True):
                pieces.append(piece)
                size += len(piece)
                taken = self._room.take(len(piece))
                if size > _MOST_BYTES or (taken > _MOST_BYTES_AT_ONCE and size > _SMALL_BYTES):
                    raise AnswerTooLargeError("HubSpot's answer is too large")
            return b"".join(pieces)
        finally:
            self._room.take(-size)


class _Room:
    """How many bytes of answers this process holds while it reads them: a few kilobytes may unpack to 200 MB."""

    def __init__(self) -> None:
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, size: int) -> int:
        """Count bytes, or with a negative size those that were read to the end; return how many there are now."""
        with self._lock:
            self._taken += size
            return self._taken
