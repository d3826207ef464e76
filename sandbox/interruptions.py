"""Ctrl-C and its like, noted when they come and answered at the next pause: nothing is torn apart in the middle."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from types import FrameType, TracebackType
from typing import Self

_ANSWERED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LONGEST_NAP_S = 0.05
_SHELLS_BASE = 128


class StopRequestedError(Exception):
    """Someone wants this program to end."""


class Interruptions:
    """While it is entered, signals that ask the program to end raise nothing; `pause` and `check` do.

    So a child that was just started is always known to the one who has to stop it, and a second Ctrl-C changes nothing.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._before = ExitStack()

    def __enter__(self) -> Self:
        for number in _ANSWERED:
            before = signal.getsignal(number)
            if number == signal.SIGHUP and before == signal.SIG_IGN:
                continue  # `nohup` has promised that this program outlives its terminal
            self._before.callback(signal.signal, number, before)
            signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._before.close()

    @property
    def exit_status(self) -> int:
        """What a shell expects of a program that a signal has ended: 130 after Ctrl-C; 0 when there was none."""
        return _SHELLS_BASE + self._first if self._first is not None else 0

    def check(self) -> None:
        """Raise StopRequestedError when a signal has come."""
        if self._first is not None:
            raise StopRequestedError

    def pause(self, seconds: float) -> None:
        """Sleep, but no longer than until a signal comes. Raises StopRequestedError."""
        until = time.monotonic() + seconds
        self.check()
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LONGEST_NAP_S))
            self.check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._first is None:
            self._first = number
