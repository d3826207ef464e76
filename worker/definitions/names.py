"""Names of properties: which are unknown, and which were probably meant; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches

ALL = "*"
"""All properties that HubSpot defines when the job begins, without sensitive ones."""

MOST_PROPERTIES = 2000
"""The most properties of one job."""

_MOST_NEAREST = 3
_MOST_COMPARED = 20  # unknown names: each is compared with all that are known


def unknown_among(names: Iterable[str], known: Collection[str]) -> tuple[str, ...]:
    """Return the names that are not known, each once; `*` is.

    HubSpot's own names are lower case, and it refuses others ("Names for properties should be lowercase"), so that
    names in another case are other names.
    """
    return tuple(each for each in dict.fromkeys(names) if each != ALL and each not in known)


def nearest(unknown: Iterable[str], known: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """Return for each unknown name up to three that look like it, whatever their case."""
    by_lower = {each.lower(): each for each in known}
    found: dict[str, tuple[str, ...]] = {}
    for number, name in enumerate(unknown):
        close = get_close_matches(name.lower(), by_lower, n=_MOST_NEAREST) if number < _MOST_COMPARED else []
        found[name] = tuple(by_lower[each] for each in close)
    return found
