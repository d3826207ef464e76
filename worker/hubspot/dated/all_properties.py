"""AllProperties: all properties of a type, where a list is asked for all without naming any.

`includeAllProperties` of the legacy deals has no counterpart in the dated API, which wants names.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from pydantic import SecretStr

from worker.definitions.interfaces import LIFE_S, DefinitionSource
from worker.definitions.lists import DefinitionList, ListKind
from worker.hubspot.page_calls import PageCalls
from worker.jobs.selection import Selection
from worker.records.findings import CallKind

_MOST_KEPT = 256
_NOTHING = Selection(properties=(), is_all=True)


class AllProperties:
    """Reads what HubSpot defines, without sensitive properties, and keeps that of a portal for ten minutes."""

    def __init__(self, definitions: DefinitionSource, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._definitions = definitions
        self._monotonic = monotonic
        self._kept: OrderedDict[tuple[int, str], tuple[float, Selection]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: str, hub_id: int | None, calls: PageCalls, token: SecretStr) -> Selection:
        """Return the properties of a type. Raises a HubSpotError."""
        at, key = self._monotonic(), (hub_id or 0, path)
        with self._lock:
            since, known = self._kept.get(key, (0.0, _NOTHING))
        if known.properties and at - since < LIFE_S:
            return known
        known = self._read(path, calls, token)
        if hub_id is not None:
            with self._lock:
                self._kept[key] = at, known
                self._kept.move_to_end(key)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return known

    def _read(self, path: str, calls: PageCalls, token: SecretStr) -> Selection:
        wanted, permit = DefinitionList(kind=ListKind.PROPERTIES, path=path), calls.permit(CallKind.DEFINITIONS)
        found = self._definitions.fetch(wanted, token, after=None, permit=permit).listed.properties
        return Selection.of((each for each in found if not each.is_sensitive), is_all=True)
