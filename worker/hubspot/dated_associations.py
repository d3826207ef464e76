"""All that records are associated with: `POST /crm/associations/{version}/{from}/{to}/batch/read`, 1,000 ids a call.

Published: `{"inputs": [{"id", "after"}]}` -> `{"status", "results": [{"from": {"id"}, "to": [{"toObjectId",
"associationTypes"}], "paging": {"next": {"after"}}}], "errors"}`; `after` only where a page of this call has given it.
A record without any is an error NO_ASSOCIATIONS_FOUND in an answer with status 207.

In a list each record has at most 100 of a type, with `paging.next` behind them. Whether that `after` is one for the batch
as well nothing says: a record that was cut is read from its beginning, in a call that it takes anyway.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from pydantic import SecretStr

from worker.errors import FatalHubSpotError
from worker.hubspot.addresses import DatedAddresses
from worker.hubspot.batches import in_parts, read_batch
from worker.hubspot.dated_objects import as_written, decode_fields, id_text, integer_of, written
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport
from worker.records.findings import CallKind

_log = structlog.get_logger()

MOST_IDS = 1_000
_NO_ASSOCIATIONS = "NO_ASSOCIATIONS_FOUND"
_CUT = b'"next"'
_FIELD = "associations"

Entry = dict[str, Any]


class _Listed(msgspec.Struct):
    results: list[Entry]
    paging: Any = None


class _Linked(msgspec.Struct):
    to: list[Entry]
    of: Any = msgspec.field(name="from", default=None)
    paging: Any = None


_decode_listed = msgspec.json.Decoder(_Listed, float_hook=as_written).decode
_decode_linked = msgspec.json.Decoder(_Linked, float_hook=as_written).decode


@dataclass(slots=True)
class Links:
    """What was read of one type: ids of records -> what they are associated with. Of `unread` ones not all is known."""

    found: dict[str, list[Entry]] = field(default_factory=dict)
    unread: set[str] = field(default_factory=set)


def may_be_cut(records: Sequence[msgspec.Raw]) -> bool:
    """Whether a record may have more associations than the list has given; a quick look that may err to the one side."""
    return any(_CUT in bytes(each) for each in records)


class AssociationReader:
    """Reads associations by ids; what HubSpot refuses costs those associations alone, and is told."""

    def __init__(self, *, transport: Transport, addresses: DatedAddresses) -> None:
        self._transport = transport
        self._addresses = addresses

    def complete(
        self, of: str, records: Sequence[msgspec.Raw], calls: PageCalls, token: SecretStr
    ) -> tuple[list[msgspec.Raw], int]:
        """Return records of a list with all their associations, and how many could not be completed."""
        cut = [_cut_types(each) if _CUT in bytes(each) else {} for each in records]
        wanted: dict[str, list[str]] = {}
        for record, types in zip(records, cut, strict=True):
            for name in types:
                if (each := id_text(record)) is not None:
                    wanted.setdefault(name, []).append(each)
        links = {name: self.read(of, name, ids, calls, token, each_has=True) for name, ids in wanted.items()}
        completed, incomplete = [], 0
        for record, types in zip(records, cut, strict=True):
            each = id_text(record)
            whole = {} if each is None else {name: _joined(value, links[name], each) for name, value in types.items()}
            completed.append(_with_associations(record, whole) if whole else record)
            incomplete += any(each is None or each in links[name].unread for name in types)
        return completed, incomplete

    def read_all(  # noqa: PLR0913 - what a call consists of
        self, of: str, records: Sequence[msgspec.Raw], to: Sequence[str], calls: PageCalls, token: SecretStr
    ) -> tuple[list[msgspec.Raw], int]:
        """Return records that came without associations with all of some types, as a list has them, and likewise."""
        ids = [id_text(each) for each in records]
        known = [each for each in ids if each is not None]
        if not (to and known):
            return list(records), 0
        links = {name: self.read(of, name, known, calls, token) for name in to}
        unread = set[str]().union(*(each.unread for each in links.values()))
        linked = []
        for each, record in zip(ids, records, strict=True):
            found = {name: read.found[each] for name, read in links.items() if each is not None and read.found.get(each)}
            named = {name: msgspec.json.encode({"results": _entries(given, None)}) for name, given in found.items()}
            linked.append(_with_associations(record, named) if named else record)
        return linked, len(unread)

    def read(  # noqa: PLR0913 - what a call consists of
        self, of: str, to: str, ids: Sequence[str], calls: PageCalls, token: SecretStr, *, each_has: bool = False
    ) -> Links:
        """Read what records are associated with. `each_has`: each is known to have some.

        Raises a HubSpotError that may pass; a refusal of the type leaves all of it unread.
        """
        links = Links()
        starts: dict[str, str | None] = dict.fromkeys(ids)
        try:
            while starts:
                following: dict[str, str] = {}
                for some in in_parts(list(starts.items()), MOST_IDS):
                    following |= self._read_some(of, to, dict(some), links, calls, token, each_has=each_has)
                starts = {each: after for each, after in following.items() if after != starts[each]}
                links.unread |= following.keys() - starts.keys()
        except FatalHubSpotError as error:
            _log.warning("associations_unread", of=of, to=to, **error.log_fields)
            links.unread |= starts.keys()
        return links

    def _read_some(  # noqa: PLR0913 - what a call consists of
        self,
        of: str,
        to: str,
        starts: Mapping[str, str | None],
        links: Links,
        calls: PageCalls,
        token: SecretStr,
        *,
        each_has: bool,
    ) -> dict[str, str]:
        """Make one call; return where those ids go on that have more."""
        inputs = [{"id": each} if after is None else {"id": each, "after": after} for each, after in starts.items()]
        url, permit = self._addresses.associations(of, to), calls.permit(CallKind.ASSOCIATIONS)
        answer = self._transport.post_json(url, {"inputs": inputs}, token, api="dated", permit=permit, is_batch=True)
        batch, following = read_batch(answer, token), dict[str, str]()
        answered = _without(batch.errors)
        for result in batch.results:
            linked = _linked(result)
            each = _text((linked.of or {}).get("id")) if linked is not None and isinstance(linked.of, dict) else None
            if linked is None or each not in starts:
                continue
            answered.add(each)
            links.found.setdefault(each, []).extend(linked.to)
            after = _after(linked.paging)
            if after is not None:
                following[each] = after
        failed = {each for error in batch.errors if not _is_without(error) for each in _ids_of(error, starts)}
        links.unread |= failed | (starts.keys() - answered if each_has else set())
        return following


def _is_without(error: Mapping[str, Any]) -> bool:
    return str(error.get("subCategory")).endswith(_NO_ASSOCIATIONS)


def _without(errors: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the ids that HubSpot knows to have no associations."""
    return {each for error in errors if _is_without(error) for each in _ids_of(error, ())}


def _ids_of(error: Mapping[str, Any], otherwise: Sequence[str] | Mapping[str, Any]) -> Iterator[str]:
    """Return the ids that an error is about: `context.fromObjectId` or the like; all where it names none."""
    context = error.get("context")
    values = context.values() if isinstance(context, dict) else ()
    named = [text for value in values if isinstance(value, list) for each in value if (text := _text(each)) is not None]
    yield from named or otherwise


def _cut_types(record: msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return those associations of a record behind which there are more."""
    try:
        named = decode_fields(decode_fields(record).get(_FIELD, b"{}"))
    except msgspec.ValidationError:
        return {}
    return {name: value for name, value in named.items() if _after(_paging_of(value)) is not None}


def _paging_of(value: msgspec.Raw) -> Any:  # noqa: ANN401 - whatever came
    try:
        return _decode_listed(value).paging
    except msgspec.ValidationError:
        return None


def _after(paging: Any) -> str | None:  # noqa: ANN401 - whatever came
    following = paging.get("next") if isinstance(paging, dict) else None
    return _text(following.get("after")) if isinstance(following, dict) else None


def _linked(result: msgspec.Raw) -> _Linked | None:
    try:
        return _decode_linked(result)
    except msgspec.ValidationError:
        return None


def _joined(value: msgspec.Raw, links: Links, record_id: str) -> bytes:
    """Write the associations of a list with those that it lacks, each id once; those left unread keep their paging."""
    listed = _decode_listed(value)
    types = {str(each.get("type")): each.get("type") for each in listed.results}
    known = {_text(each.get("id")) for each in listed.results}
    entries = _entries(links.found.get(record_id, []), next(iter(types.values())) if len(types) == 1 else None)
    results = [*listed.results, *(each for each in entries if each["id"] not in known)]
    paging = {"paging": listed.paging} if record_id in links.unread else {}
    return msgspec.json.encode({"results": results, **paging})


def _entries(given: Sequence[Entry], kind: Any) -> list[Entry]:  # noqa: ANN401 - whatever came
    """Return associations as lists have them; `kind` is what lists call the type, where that is known."""
    ids = ((each, _text(each.get("toObjectId", each.get("id")))) for each in given)
    entries = ((each.get("type", kind), text) for each, text in ids if text is not None)
    return [{"id": text, **({} if name is None else {"type": name})} for name, text in entries]


def _with_associations(record: msgspec.Raw, whole: Mapping[str, bytes]) -> msgspec.Raw:
    fields = decode_fields(record)
    named = {**decode_fields(fields.get(_FIELD, b"{}")), **whole}
    return written({**fields, _FIELD: written(named)})


def _text(value: Any) -> str | None:  # noqa: ANN401 - whatever came
    number = integer_of(value)
    return str(number) if number is not None else value if isinstance(value, str) and value else None
