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

_AT_FIRST_S, _AT_LAST_S = 0.01, 0.1  # between looks, which take processor time from what is waited for


def until(look: Callable[[], T], holds: Callable[[T], object] = bool, *, within_s: float = PATIENCE_S) -> T:
    """Poll until the condition holds, and return what `look` returned then."""
    give_up_at, pause_s = time.monotonic() + within_s, _AT_FIRST_S
    while not holds(found := look()):
        assert time.monotonic() < give_up_at, found
        time.sleep(pause_s)
        pause_s = min(1.5 * pause_s, _AT_LAST_S)
    return found
