"""Executors without threads: one does at once what it is given, one in an order that a test chooses."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_PAUSES = 0.2  # of the times when that is possible, time passes before anything is done
_DONE_AT_THE_END = 0.5


class PromptExecutor(Executor):
    """Has every result ready before anyone asks for it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        outcome: Future[T] = Future()
        _settle(outcome, fn, *args, **kwargs)
        return outcome


class PowerCutError(BaseException):
    """The process is gone at this very moment; nothing of ours catches it."""


class HeldTasks(Executor):
    """Does nothing until someone waits; then one task after the other, whichever its dice say.

    `first_done` is for ExportContext. `on_pause` is told of seconds that pass because nothing was done first.
    The process is gone after so many tasks: then PowerCutError is raised, and what is under way is done or is not.
    """

    def __init__(
        self, dice: random.Random, *, on_pause: Callable[[float], object], gone_after: int | None = None
    ) -> None:
        self._dice = dice
        self._on_pause = on_pause
        self._gone_after = gone_after
        self._held: dict[Future[Any], Callable[[], None]] = {}
        self.most_held = 0
        self.done = 0

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        outcome: Future[T] = _Held(self._do)
        self._held[outcome] = lambda: _settle(outcome, fn, *args, **kwargs)
        self.most_held = max(self.most_held, len(self._held))
        return outcome

    def first_done(self, futures: Collection[Future[Any]], timeout_s: float | None) -> Collection[Future[Any]]:
        """Do one of the tasks, or let the time pass."""
        if timeout_s is not None and self._dice.random() < _PAUSES:
            self._on_pause(timeout_s)
            return ()
        held = [future for future in futures if future in self._held]
        if held:
            self._do(self._dice.choice(held))
        return [future for future in futures if future.done()]

    def _do(self, future: Future[Any]) -> None:
        if self.done == self._gone_after:
            self._cut()
        self.done += 1
        self._held.pop(future)()

    def _cut(self) -> None:
        self._gone_after = None
        for future, task in self._held.items():
            if self._dice.random() < _DONE_AT_THE_END:
                task()
            else:
                future.cancel()
        self._held.clear()
        raise PowerCutError


class _Held(Future[T]):
    """A future that has its task done when someone asks for the result."""

    def __init__(self, do: Callable[[Future[Any]], None]) -> None:
        super().__init__()
        self._do = do

    def result(self, timeout: float | None = None) -> T:
        if not self.done():
            self._do(self)
        return super().result(timeout)


def _settle(outcome: Future[T], fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> None:
    if not outcome.set_running_or_notify_cancel():
        return
    try:
        outcome.set_result(fn(*args, **kwargs))
    except BaseException as error:  # noqa: BLE001 - told to whoever asks for the result, as it is
        outcome.set_exception(error)
