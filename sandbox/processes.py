"""Child processes that never outlive this one, with readiness checks, a log file, and a bounded time to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sandbox.logs import tail

_PARENT_DEATH = Path(__file__).with_name("parent_death.py")
_POLL_S = 0.02
_KILL_S = 10  # SIGKILL takes longer only for a process in uninterruptible sleep, such as on a broken disk

Pause = Callable[[float], None]


class ProcessFailedError(Exception):
    """A child process died, or was not ready in time. `log_tail` holds the last lines of its log."""

    def __init__(self, name: str, what: str, *, log_tail: str) -> None:
        super().__init__(f"{name} {what}")
        self.name = name
        self.log_tail = log_tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program with its arguments, its complete environment, and its working directory."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    folder: Path


class Process:
    """A child process in a session of its own; on Linux the kernel kills it when the thread that started it ends.

    It can be started again after it was stopped or killed, with the same command, folder and log.
    """

    def __init__(
        self,
        *,
        name: str,
        command: Command,
        log: Path,
        ready: Callable[[Process], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._ready = ready
        self._child: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Process id of the child. Raises RuntimeError before its start and after `stop` and `kill`."""
        return self._running().pid

    @property
    def is_alive(self) -> bool:
        """Whether the child is running."""
        return self._child is not None and self._child.poll() is None

    def start(self) -> Self:
        """Start the child and return at once. Must be called from the main thread: see the class."""
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("a child must be started from the main thread: it would be killed with any other one")
        if self.is_alive:
            raise RuntimeError(f"{self.name} runs already")
        self.mark_log()
        self._child = self._spawn()
        return self

    def wait_ready(self, *, timeout_s: float = 300, pause: Pause = time.sleep) -> Self:
        """Wait until the child is ready. `pause` may raise to abort the waiting.

        Raises ProcessFailedError as soon as the child has died, and after `timeout_s`.
        """
        wait_until(lambda: self._ready(self), watched=[self], timeout_s=timeout_s, pause=pause)
        return self

    def mark_log(self) -> None:
        """Make `has_written` ignore what the child has written so far."""
        self._log_start = self.log.stat().st_size if self.log.exists() else 0

    def has_written(self, text: str) -> bool:
        """Return whether the child has written this since it was last started, or since `mark_log`."""
        with suppress(FileNotFoundError), self.log.open("rb") as file:
            file.seek(self._log_start)
            return text.encode() in file.read()
        return False

    def check(self) -> None:
        """Raise ProcessFailedError if the child has exited without `stop` or `kill`."""
        status = self._child.poll() if self._child is not None else None
        if status is not None:
            raise ProcessFailedError(self.name, _obituary(status), log_tail=tail(self.log))

    def stop(self, *, grace_s: float = 10) -> None:
        """Stop the child: SIGTERM, at most `grace_s` seconds, then SIGKILL to its group. Idempotent."""
        stop_all([self], grace_s=grace_s)

    def kill(self) -> None:
        """Send SIGKILL to the child and its whole group, as in a power cut."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait(timeout=_KILL_S)
            self._child = None

    def restart(self, *, timeout_s: float = 300, pause: Pause = time.sleep) -> Self:
        """Stop the child if it runs, start it again, and wait until it is ready."""
        self.stop()
        return self.start().wait_ready(timeout_s=timeout_s, pause=pause)

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the child alone, not to its group. Raises RuntimeError if it was not started."""
        self._running().send_signal(number)

    def _spawn(self) -> subprocess.Popen[bytes]:
        parent_death = [sys.executable, "-I", "-S", str(_PARENT_DEATH), str(os.getpid())]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*parent_death, *self._command.arguments],
                env=dict(self._command.environment),
                cwd=self._command.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._child

    def _terminate(self) -> None:
        if self._child is not None:
            self._child.terminate()

    def _end(self, *, by: float) -> None:
        if self._child is not None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=max(0.0, by - time.monotonic()))
            self.kill()


def wait_until(
    condition: Callable[[], bool], *, watched: Sequence[Process], timeout_s: float, pause: Pause = time.sleep
) -> None:
    """Wait for a condition for which all of `watched` must run. `pause` may raise to abort the waiting.

    Raises ProcessFailedError as soon as one of them has died, and after `timeout_s`.
    """
    give_up_at = time.monotonic() + timeout_s
    while True:
        fulfilled = condition()
        for process in watched:
            process.check()
        if fulfilled:
            return
        if time.monotonic() > give_up_at:
            first = watched[0]
            raise ProcessFailedError(first.name, f"was not ready within {timeout_s:g} s", log_tail=tail(first.log))
        pause(_POLL_S)


def stop_all(processes: Iterable[Process], *, grace_s: float = 10) -> None:
    """Stop children in parallel, within `grace_s` seconds. Ctrl-C does not interrupt it."""
    together = list(processes)
    with _undisturbed():
        by = time.monotonic() + grace_s
        for process in together:
            process._terminate()  # noqa: SLF001 - the two phases of stopping are private to this module
        for process in together:
            process._end(by=by)  # noqa: SLF001


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C meanwhile, unless the program has installed a handler of its own."""
    can_set = threading.current_thread() is threading.main_thread()
    if not can_set or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _obituary(status: int) -> str:
    if status >= 0:
        return f"ended with status {status}"
    known = {number.value: number.name for number in signal.Signals}
    return f"was ended by {known.get(-status, f'signal {-status}')}"
