"""Checksums of sets of ids: a sum, so that parts can be added and taken away; pure."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

_MODULUS = 2**256


def sum_of_ids(ids: Iterable[int], *, start: str) -> str:
    """Return the checksum of these ids and of those that `start` is of."""
    total = int(start, 16) + sum(int.from_bytes(sha256(b"%d" % each).digest(), "big") for each in ids)
    return f"{total % _MODULUS:064x}"


def difference_of_checksums(whole: str, part: str) -> str:
    """Return the checksum of the ids that are left of the whole without the part."""
    return f"{(int(whole, 16) - int(part, 16)) % _MODULUS:064x}"


def sum_of_checksums(checksums: Iterable[str]) -> str:
    """Return the checksum of all the ids that these are of."""
    return f"{sum(int(each, 16) for each in checksums) % _MODULUS:064x}"
