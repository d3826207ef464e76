"""Waiting for what comes about by itself, in other threads and processes, on machines of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE_S = 120.0
"""How long anything of ours may take on the slowest machine; only a test that fails waits so long."""

HELD_UP_S = 10.0
"""What a machine without time for us may add to a duration that is promised."""

_EVERY_S = 0.02


def until(look: Callable[[], T], holds: Callable[[T], object] = bool, *, within_s: float = PATIENCE_S) -> T:
    """Look again and again; give what is there as soon as something holds of it."""
    give_up_at = time.monotonic() + within_s
    while not holds(found := look()):
        assert time.monotonic() < give_up_at, found
        time.sleep(_EVERY_S)
    return found
