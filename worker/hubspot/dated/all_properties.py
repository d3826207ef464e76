"""AllProperties: all properties of a type, where a list is asked for all without naming any.

`includeAllProperties` of the legacy deals has no counterpart in the dated API, which wants names.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import SecretStr

from worker.hubspot.dated.addresses import DatedAddresses
from worker.hubspot.dated.objects import read_list
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport
from worker.records.envelope import PageUnreadableError
from worker.records.findings import CallKind

_KEPT_S = 600.0
_MOST_KEPT = 256
_SENSITIVE = frozenset({"sensitive", "highly_sensitive"})


_TIMES = frozenset({"date", "datetime"})


@dataclass(frozen=True, slots=True)
class Defined:
    """Properties in HubSpot's order, without archived and sensitive ones; `times` are those that hold instants."""

    names: tuple[str, ...] = ()
    times: frozenset[str] = frozenset()


class _Definition(msgspec.Struct, rename="camel"):
    name: str
    type: Any = None
    archived: Any = None
    data_sensitivity: Any = None


_decode = msgspec.json.Decoder(_Definition).decode


class AllProperties:
    """Reads what HubSpot defines, and keeps that of a portal for ten minutes."""

    def __init__(
        self, *, transport: Transport, addresses: DatedAddresses, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._transport = transport
        self._addresses = addresses
        self._monotonic = monotonic
        self._kept: OrderedDict[tuple[int, str], tuple[float, Defined]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, path: str, hub_id: int | None, calls: PageCalls, token: SecretStr) -> Defined:
        """Return the properties of a type. Raises a HubSpotError."""
        at, key = self._monotonic(), (hub_id or 0, path)
        with self._lock:
            since, defined = self._kept.get(key, (0.0, Defined()))
        if defined.names and at - since < _KEPT_S:
            return defined
        defined = self._read(path, calls, token)
        if hub_id is not None:
            with self._lock:
                self._kept[key] = at, defined
                self._kept.move_to_end(key)
                while len(self._kept) > _MOST_KEPT:
                    self._kept.popitem(last=False)
        return defined

    def _read(self, path: str, calls: PageCalls, token: SecretStr) -> Defined:
        url, permit = self._addresses.properties(path), calls.permit(CallKind.DEFINITIONS)
        answer = self._transport.get(url, [], token, api="dated", permit=permit)
        try:
            found = [_definition(each) for each in read_list(answer.body).records]
        except PageUnreadableError as error:
            raise answer.unusable(str(error), secrets=[token]) from error
        known = [each for each in found if each is not None and each.archived is not True]
        shown = [each for each in known if each.data_sensitivity not in _SENSITIVE]
        return Defined(
            tuple(each.name for each in shown), frozenset(each.name for each in shown if each.type in _TIMES)
        )


def _definition(record: msgspec.Raw) -> _Definition | None:
    try:
        return _decode(record)
    except msgspec.ValidationError:
        return None
