"""The control API for an account's records: list, show and change them."""

import msgspec

from sandbox.fake_hubspot.accounts import Account
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.control.schemas import RecordChanges
from sandbox.fake_hubspot.crm.dated_lists import DATED_LISTS
from sandbox.fake_hubspot.crm.legacy_lists import LEGACY_LISTS
from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Request
from sandbox.fake_hubspot.parameters import integer
from sandbox.fake_hubspot.records.record_counts import RecordSet

_MS = 1000


class ControlRecords:
    """Handlers below accounts/{hub_id}/records/; they raise KeyError for a missing account, type or record."""

    def __init__(self, hubspot: HubSpot) -> None:
        self._hubspot = hubspot

    def ids(self, request: Request, hub_id: str, type_: str) -> object:
        """Return the ids of a type, ascending, from `after`, at most `limit`; `notes`: engagements that are notes."""
        account = self._hubspot.accounts[int(hub_id)]
        limit = integer(request, "limit", default=-1)
        found = _ids(account, type_, after=integer(request, "after", default=0))
        return {"count": len(found), "ids": found[:limit] if limit >= 0 else found}

    def change(self, request: Request, hub_id: str, type_: str) -> object:
        """Add, delete and touch records; return the ids of each."""
        record_set = _record_set(self._hubspot.accounts[int(hub_id)], type_)
        changes = msgspec.json.decode(request.body, type=RecordChanges)
        now_ms = int(self._hubspot.clock() * _MS)
        return {
            "added": record_set.add(changes.add, at_ms=now_ms),
            "deleted": record_set.delete(changes.delete),
            "touched": record_set.touch(changes.touch, at_ms=now_ms),
        }

    def one(self, request: Request, hub_id: str, type_: str, record_id: str) -> object:
        """Return one record as the list of its type renders it for the same query; `api=dated` for the dated list."""
        account = self._hubspot.accounts[int(hub_id)]
        dated = request.first("api") == "dated" or type_ == "notes"
        source = "engagements" if type_ == "notes" else type_
        index = _record_set(account, source).index_of(int(record_id))
        if index is None:
            raise KeyError(f"{type_} {record_id}")
        call = Call(request, self._hubspot.clock(), correlation_id="", request_id="", account=account)
        lists = DATED_LISTS if dated else LEGACY_LISTS
        shape = next(each.shown(call) for each in lists if each.type == source)
        return msgspec.Raw(account.renderer.render(source, [index], shape)[0])


def _ids(account: Account, type_: str, *, after: int) -> list[int]:
    if type_ != "notes":
        return _record_set(account, type_).ids(after=after)
    record_set = account.records["engagements"]
    return [record_set.id_at(index) for index in record_set.after(after) if account.renderer.is_note(index)]


def _record_set(account: Account, type_: str) -> RecordSet:
    return account.records[type_]
