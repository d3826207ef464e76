"""The control API for an account's records: list, show and change them."""

import msgspec

from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.control.schemas import RecordChanges
from sandbox.fake_hubspot.crm.batch_read import find_indexes
from sandbox.fake_hubspot.crm.dated_lists import DatedList
from sandbox.fake_hubspot.crm.legacy_lists import LEGACY_LISTS_BY_TYPE
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Request
from sandbox.fake_hubspot.parameters import integer, is_true
from sandbox.fake_hubspot.records.record_counts import RecordSet
from sandbox.fake_hubspot.records.shape import RecordType

_MS = 1000


class ControlRecords:
    """Handlers below accounts/{hub_id}/records/; they raise KeyError for a missing account, type or record."""

    def __init__(self, hubspot: HubSpot) -> None:
        self._hubspot = hubspot

    def ids(self, request: Request, hub_id: str, type_: str) -> object:
        """Return the ids of a type or kind, ascending, from `after`, at most `limit`; `archived`: deleted ones."""
        account = self._hubspot.accounts[int(hub_id)]
        limit, after = integer(request, "limit", default=-1), integer(request, "after", default=0)
        archived_at = self._hubspot.clock() if is_true(request.first("archived")) else None
        found = _ids(account, type_, after=after, archived_at=archived_at)
        return {"count": len(found), "ids": found[:limit] if limit >= 0 else found}

    def associations(self, request: Request, hub_id: str, type_: str, target: str) -> object:
        """Return the ids of the records of another type that each record of a type is associated with."""
        account = self._hubspot.accounts[int(hub_id)]
        own, other = _record_type(account, type_), _record_type(account, target)
        record_set, links = account.records[own.record_set], account.renderer.links
        indexes = account.members(own, after=integer(request, "after", default=0))
        return {"associations": {record_set.id_at(index): links.ids(own, index, other) for index in indexes}}

    def change(self, request: Request, hub_id: str, type_: str) -> object:
        """Add, delete, touch and restore records; return the ids of each."""
        record_set = _record_set(self._hubspot.accounts[int(hub_id)], type_)
        changes = msgspec.json.decode(request.body, type=RecordChanges)
        now_ms = int(self._hubspot.clock() * _MS)
        return {
            "added": record_set.add(changes.add, at_ms=now_ms),
            "deleted": record_set.delete(changes.delete, at_ms=now_ms),
            "touched": record_set.touch(changes.touch, at_ms=now_ms),
            "restored": record_set.restore(changes.restore, at_ms=now_ms),
        }

    def one(self, request: Request, hub_id: str, type_: str, record_id: str) -> object:
        """Return one record as the list of its type renders it for the same query; `api=dated` for the dated list."""
        account = self._hubspot.accounts[int(hub_id)]
        record_type = _record_type(account, type_)
        call = Call(request, self._hubspot.clock(), correlation_id="", request_id="", account=account)
        dated = request.first("api") == "dated" or record_type.legacy is None
        shape = DatedList(record_type).shown(call) if dated else LEGACY_LISTS_BY_TYPE[type_].shown(call)
        found = find_indexes(call, record_type, [int(record_id)], archived=shape.archived)
        if not found:
            raise KeyError(f"{type_} {record_id}")
        return msgspec.Raw(account.renderer.render(record_type.name, list(found.values()), shape)[0])


def _ids(account: Account, type_: str, *, after: int, archived_at: float | None) -> list[int]:
    if type_ in account.records and archived_at is None:
        return account.records[type_].ids(after=after)
    record_type = _record_type(account, type_)
    record_set = account.records[record_type.record_set]
    if archived_at is not None:
        return [record_set.id_at(index) for index in account.archived(record_type, after=after, at=archived_at)]
    return [record_set.id_at(index) for index in account.members(record_type, after=after)]


def _record_type(account: Account, type_: str) -> RecordType:
    found = account.record_types.get(type_) or account.find_type(type_)
    if found is None:
        raise KeyError(type_)
    return found


def _record_set(account: Account, type_: str) -> RecordSet:
    return account.records[type_ if type_ in account.records else _record_type(account, type_).record_set]
