"""Waiting for what comes about by itself, in other processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_EVERY_S = 0.02


def until(look: Callable[[], T], holds: Callable[[T], object] = bool, *, within_s: float = 30) -> T:
    """Look again and again; give what is there as soon as something holds of it."""
    give_up_at = time.monotonic() + within_s
    while not holds(found := look()):
        assert time.monotonic() < give_up_at, found
        time.sleep(_EVERY_S)
    return found
