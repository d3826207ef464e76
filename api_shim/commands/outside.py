"""Outside: what the commands reach beyond this process, in one value, so that a test can put its own in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx


def _someone_types() -> bool:
    return sys.stdin.isatty()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """`transport` carries HTTP (None: the network), `pause` sleeps, `someone_types` says whether to ask questions."""

    transport: httpx.BaseTransport | None = None
    pause: Callable[[float], None] = time.sleep
    someone_types: Callable[[], bool] = _someone_types
