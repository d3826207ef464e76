"""The code that the documentation offers to be copied, as the tests run it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WEBHOOKS = (Path(__file__).resolve().parent.parent / "docs" / "reference" / "webhooks.md").read_text()

IsGenuine = Callable[[str, Mapping[str, str], bytes], bool]


def check_of_signatures() -> IsGenuine:
    """Return the function with which receivers verify webhooks."""
    (code,) = re.findall(r"```python\n(import [^`]*?def is_genuine.*?)```", WEBHOOKS, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own document
    found: IsGenuine = names["is_genuine"]
    return found
