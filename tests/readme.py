"""What README.md offers to be copied, as the tests run it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()

IsGenuine = Callable[[str, Mapping[str, str], bytes], bool]


def check_of_signatures() -> IsGenuine:
    """Give the function with which receivers check webhooks."""
    (code,) = re.findall(r"```python\n(import [^`]*?def is_genuine.*?)```", README, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own document
    found: IsGenuine = names["is_genuine"]
    return found
