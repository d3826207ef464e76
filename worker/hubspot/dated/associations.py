"""All that records are associated with: `POST /crm/associations/{version}/{from}/{to}/batch/read`, 1,000 ids a call.

Published: `{"inputs": [{"id", "after"}]}` is answered with status 200, or 207 with an error NO_ASSOCIATIONS_FOUND for
each record without any. In a list each record has at most 100 of a type, with `paging.next` behind them, whose `after`
is of the same form as the batch's (recorded of both: the type's number and the last id, in Base64).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import structlog
from pydantic import SecretStr

from worker.errors import FatalHubSpotError
from worker.hubspot.dated.addresses import DatedAddresses
from worker.hubspot.dated.association_links import (
    Links,
    cut_types,
    entries,
    ids_of_error,
    is_without,
    joined,
    linked_record,
    read_linked,
)
from worker.hubspot.dated.batches import in_parts, read_batch
from worker.hubspot.dated.objects import id_text
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport
from worker.records.findings import CallKind

_log = structlog.get_logger()

MOST_IDS = 1_000
_CUT = b'"next"'


def may_be_cut(records: Sequence[msgspec.Raw]) -> bool:
    """Whether a record may have more associations than the list has given: a quick look that may err on one side."""
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
        ids = [id_text(each) for each in records]
        cut = [cut_types(each) if _CUT in bytes(each) else {} for each in records]
        wanted: dict[str, dict[str, str | None]] = {}
        for each, types in zip(ids, cut, strict=True):
            for name, listed in types.items():
                if each is not None:
                    wanted.setdefault(name, {})[each] = listed.after
        reading = _Reading(self._transport, calls, token, each_has=True)
        links = {
            name: reading.read(self._addresses.associations(of, name.replace(" ", "_")), starts)
            for name, starts in wanted.items()
        }
        completed, incomplete = [], 0
        for each, record, types in zip(ids, records, cut, strict=True):
            whole = {name: joined(listed, links[name], each) for name, listed in types.items() if each is not None}
            completed.append(linked_record(record, whole) if whole else record)
            incomplete += any(each is None or each in links[name].unread for name in types)
        return completed, incomplete

    def read_all(
        self, of: str, records: Sequence[msgspec.Raw], to: Sequence[str], calls: PageCalls, token: SecretStr
    ) -> tuple[list[msgspec.Raw], int]:
        """Return records that came without associations with all of some types, as a list has them, and likewise."""
        ids = [id_text(each) for each in records]
        known = [each for each in ids if each is not None]
        links = {name: self.read(of, name, known, calls, token) for name in to}
        linked = []
        for each, record in zip(ids, records, strict=True):
            found = {name: read.found.get(each or "", []) for name, read in links.items()}
            named = {name: msgspec.json.encode({"results": entries(some)}) for name, some in found.items() if some}
            linked.append(linked_record(record, named) if named else record)
        return linked, len(set[str]().union(*(each.unread for each in links.values())))

    def read(self, of: str, to: str, ids: Sequence[str], calls: PageCalls, token: SecretStr) -> Links:
        """Read what records are associated with of a type.

        Raises a HubSpotError that may pass; where HubSpot refuses the type all of it is left unread.
        """
        return _Reading(self._transport, calls, token).read(self._addresses.associations(of, to), dict.fromkeys(ids))


class _Reading:
    """Calls for one page. `each_has`: each of the records is known to be associated with something."""

    def __init__(self, transport: Transport, calls: PageCalls, token: SecretStr, *, each_has: bool = False) -> None:
        self._transport = transport
        self._calls = calls
        self._token = token
        self._each_has = each_has

    def read(self, url: str, starts: Mapping[str, str | None]) -> Links:
        """Read on from where each id starts, until nothing goes on."""
        links = Links()
        try:
            while starts:
                following: dict[str, str] = {}
                for some in in_parts(list(starts.items()), MOST_IDS):
                    following |= self._read_some(url, dict(some), links)
                starts = {each: after for each, after in following.items() if after != starts[each]}
                links.unread |= following.keys() - starts.keys()
        except FatalHubSpotError as error:
            _log.warning("associations_unread", **error.log_fields)
            links.unread |= starts.keys()
        return links

    def _read_some(self, url: str, starts: Mapping[str, str | None], links: Links) -> dict[str, str]:
        """Make one call; return where those ids go on that have more."""
        inputs = [{"id": each} if after is None else {"id": each, "after": after} for each, after in starts.items()]
        permit = self._calls.permit(CallKind.ASSOCIATIONS)
        answer = self._transport.post_json(
            url, {"inputs": inputs}, self._token, api="dated", permit=permit, is_batch=True
        )
        batch, following = read_batch(answer, self._token), dict[str, str]()
        answered = {each for error in batch.errors if is_without(error) for each in ids_of_error(error)}
        for each, to, after in filter(None, map(read_linked, batch.results)):
            if each not in starts:
                continue
            answered.add(each)
            links.found.setdefault(each, []).extend(to)
            if after is not None:
                following[each] = after
        for error in batch.errors:
            if not is_without(error):
                links.unread.update(ids_of_error(error, list(starts)))
        if self._each_has:
            links.unread |= starts.keys() - answered
        return following
