"""Deferred signals: Ctrl-C and the like are recorded and take effect at the next pause."""

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
    """A signal asked this program to end."""


class Interruptions:
    """While entered, SIGINT, SIGTERM and SIGHUP raise nothing themselves; `pause` and `check` raise instead.

    So an exception never separates starting a child process from registering it for clean-up, and a second Ctrl-C has
    no effect.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._before = ExitStack()

    def __enter__(self) -> Self:
        for number in _ANSWERED:
            before = signal.getsignal(number)
            if number == signal.SIGHUP and before == signal.SIG_IGN:
                continue  # started by `nohup`
            self._before.callback(signal.signal, number, before)
            signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._before.close()

    @property
    def exit_status(self) -> int:
        """128 + the signal's number, as shells expect (130 after Ctrl-C); 0 without a signal."""
        return _SHELLS_BASE + self._first if self._first is not None else 0

    def check(self) -> None:
        """Raise StopRequestedError if a signal has arrived."""
        if self._first is not None:
            raise StopRequestedError

    def pause(self, seconds: float) -> None:
        """Sleep, and raise StopRequestedError as soon as a signal arrives."""
        until = time.monotonic() + seconds
        self.check()
        while (remaining_s := until - time.monotonic()) > 0:
            time.sleep(min(remaining_s, _LONGEST_NAP_S))
            self.check()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self._first is None:
            self._first = number
