"""Mortal: a store in one of whose calls the process dies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class PowerCutError(BaseException):
    """The process is gone at this very moment; nothing of ours catches it."""


@dataclass
class Mortal:
    """A store in whose n-th call the process dies: before anything happens, or when it has happened."""

    store: Any
    calls_left: int
    is_late: bool

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of any store
        method = getattr(self.store, name)

        def call(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as above
            self.calls_left -= 1
            if self.calls_left == 0 and not self.is_late:
                raise PowerCutError
            answer = method(*arguments, **named)
            if self.calls_left == 0:
                raise PowerCutError
            return answer

        return call
