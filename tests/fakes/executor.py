"""An executor that does at once, in the caller's thread, what it is given."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class PromptExecutor(Executor):
    """Has every result ready before anyone asks for it."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        outcome: Future[T] = Future()
        try:
            outcome.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - told to whoever asks for the result, as it is
            outcome.set_exception(error)
        return outcome
