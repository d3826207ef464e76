"""Outside: what the commands use beyond this process, in one value that tests replace."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx


def _is_interactive() -> bool:
    return sys.stdin.isatty()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """`transport` carries HTTP (None: the network), `pause` sleeps, `is_interactive` is whether to prompt."""

    transport: httpx.BaseTransport | None = None
    pause: Callable[[float], None] = time.sleep
    is_interactive: Callable[[], bool] = _is_interactive
