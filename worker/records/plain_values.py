"""Values of JSON whose meaning is plain, whichever way they are spelled; pure. All of them are bytes of JSON."""

from __future__ import annotations

import re
from decimal import Decimal

INT64 = range(-(2**63), 2**63)
"""What MongoDB can hold."""

NULL = b"null"

# No more digits than it takes: a number of a thousand digits is no id of anything.
_NUMBER = re.compile(rb'(?P<quote>"?)(?P<number>-?[0-9]{1,20}(?:\.[0-9]{0,20})?(?:[eE][+-]?[0-9]{1,2})?)(?P=quote)')
_FLAGS = {b"true": True, b"1": True, b"1.0": True, b"false": False, b"0": False, b"0.0": False}
_QUOTE, _NESTED = b'"', (b"{", b"[")


def plain_integer(value: bytes) -> int | None:
    """Read an integer of 64 bits, also from `501.0`, `5.01e2` and `"501"`; None: it is none."""
    found = _NUMBER.fullmatch(value)
    if found is None:
        return None
    number = Decimal(found["number"].decode())
    whole = int(number)
    return whole if whole == number and whole in INT64 else None


def plain_flag(value: bytes) -> bool | None:
    """Read a flag, also from `"true"`, `"False"`, `1` and `"0"`; None: it is none."""
    return _FLAGS.get(value.strip(_QUOTE).lower())


def plain_text(value: bytes) -> bytes | None:
    """Return a text as JSON, a number or a flag as it was written; None for null, lists and objects."""
    if value == NULL or value[:1] in _NESTED:
        return None
    return value if value[:1] == _QUOTE else b'"%b"' % value
