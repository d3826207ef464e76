"""AllProperties: the names of all properties of a type, where a list is asked for all without naming any.

`includeAllProperties` of the legacy deals has no counterpart in the dated API, which wants names.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import msgspec
from pydantic import SecretStr

from worker.hubspot.addresses import DatedAddresses
from worker.hubspot.dated_objects import read_list
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport
from worker.records.envelope import PageUnreadableError
from worker.records.findings import CallKind

_KEPT_S = 600.0
_MOST_KEPT = 256
_SENSITIVE = frozenset({"sensitive", "highly_sensitive"})


class _Definition(msgspec.Struct, rename="camel"):
    name: str
    archived: Any = None
    data_sensitivity: Any = None


_decode = msgspec.json.Decoder(_Definition).decode


class AllProperties:
    """Reads names, and keeps those of a portal for ten minutes."""

    def __init__(
        self, *, transport: Transport, addresses: DatedAddresses, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport = transport
        self._addresses = addresses
        self._monotonic = monotonic
        self._kept: OrderedDict[tuple[int, str], tuple[float, tuple[str, ...]]] = OrderedDict()
        self._lock = threading.Lock()

    def names(self, path: str, hub_id: int | None, calls: PageCalls, token: SecretStr) -> tuple[str, ...]:
        """Return the names that are neither archived nor sensitive, in HubSpot's order. Raises a HubSpotError."""
        at, key = self._monotonic(), (hub_id or 0, path)
        with self._lock:
            since, names = self._kept.get(key, (0.0, ()))
        if names and at - since < _KEPT_S:
            return names
        names = self._read(path, calls, token)
        if hub_id is not None:
            with self._lock:
                self._kept[key] = at, names
                self._kept.move_to_end(key)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return names

    def _read(self, path: str, calls: PageCalls, token: SecretStr) -> tuple[str, ...]:
        url, permit = self._addresses.properties(path), calls.permit(CallKind.DEFINITIONS)
        answer = self._transport.get(url, [], token, api="dated", permit=permit)
        try:
            found = [_definition(each) for each in read_list(answer.body).records]
        except PageUnreadableError as error:
            raise answer.unusable(str(error), secrets=[token]) from error
        known = [each for each in found if each is not None and each.archived is not True]
        return tuple(each.name for each in known if each.data_sensitivity not in _SENSITIVE)


def _definition(record: msgspec.Raw) -> _Definition | None:
    try:
        return _decode(record)
    except msgspec.ValidationError:
        return None
