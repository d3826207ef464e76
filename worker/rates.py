"""Rate: so many calls in so many seconds, a pure value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` calls in any `seconds` seconds."""

    calls: int
    seconds: int

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read `110/10`; `0` gives None, which is no limit. Raises ValueError on anything else."""
        if text.strip() == "0":
            return None
        match = re.fullmatch(r"\s*([1-9]\d{0,8})\s*/\s*([1-9]\d{0,4})\s*", text, re.ASCII)
        if match is None:
            raise ValueError("must be calls/seconds, such as 110/10, or 0 for no limit")
        return cls(calls=int(match[1]), seconds=int(match[2]))
