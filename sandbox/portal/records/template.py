"""JSON with slots: encoded once, filled for each record by one operation on bytes."""

import json
import re
from collections.abc import Callable, Mapping
from operator import itemgetter

# "{{#name}}" becomes a bare number, {{name}} is filled inside its string.
_SLOT = re.compile(rb'"\{\{#(\w+)\}\}"|\{\{(\w+)\}\}')


class Template:
    """Bytes of one JSON value in which named slots are filled with bytes; the values must not need JSON escapes.

    There are at least two slots: every record names its id and its creation.
    """

    def __init__(self, value: object, *, ascii_only: bool = False) -> None:
        text = json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()
        names = [match[1] or match[2] for match in _SLOT.finditer(text)]
        self.slots = frozenset(names)
        self._pattern = _SLOT.sub(b"%b", text.replace(b"%", b"%%"))
        # By position: filling by name takes half as long again. With a single name this would not give a tuple.
        self._in_order: Callable[[Mapping[bytes, bytes]], tuple[bytes, ...]] = itemgetter(*names)

    def fill(self, slots: Mapping[bytes, bytes]) -> bytes:
        """Render with these values; those that the template has no slot for are ignored."""
        return self._pattern % self._in_order(slots)
