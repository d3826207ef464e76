"""The dated object lists, /crm/objects/2026-09/{type}: opaque string cursors and no unified engagement feed."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from urllib.parse import urlencode

import msgspec

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.parameters import comma_lists, integer
from sandbox.fake_hubspot.records.shape import Shape

VERSIONS = ("/crm/objects/2026-03", "/crm/objects/2026-09", "/crm/v3/objects")
"""Version 3 has the same contract as the dated versions."""
_DEFAULT_LIMIT = 10
_LARGEST_LIMIT = 100
_LARGEST_LIMIT_WITH_HISTORY = 50
_LARGEST_SEARCH = 200


class _Search(msgspec.Struct, frozen=True, rename="camel"):
    limit: int = 10
    after: str | None = None
    properties: tuple[str, ...] = ()
    filter_groups: list[msgspec.Raw] = []
    sorts: list[msgspec.Raw] = []
    query: str = ""


@dataclass(frozen=True)
class DatedList:
    """The list of one type; `after` includes the record that it names, and the last page has no `paging`."""

    name: str
    type: str
    aliases: tuple[str, ...]
    scopes: tuple[str, ...]

    def answer(self, call: Call) -> Answer:
        """Return one page. Raises InvalidIntegerError."""
        shape = self.shown(call)
        limit = integer(call.request, "limit", default=_DEFAULT_LIMIT)
        largest = _LARGEST_LIMIT_WITH_HISTORY if shape.with_history else _LARGEST_LIMIT
        if not 1 <= limit <= largest:
            return errors.limit_too_large(call, limit, largest)
        after = integer(call.request, "after", default=0)
        found = [] if _is_true(call.request.first("archived")) else self._found(call, after, limit)
        records = call.owner.renderer.render(self.type, found[:limit], shape)
        body = b'{"results":[%s]%s}' % (b",".join(records), self._paging(call, found, limit))
        return Answer(200, body)

    def search(self, call: Call) -> Answer:
        """Return one page of all objects; filters, sorts and queries are refused because they are not modelled.

        For searches `after` is a row number, not an id.
        """
        asked = msgspec.json.decode(call.request.body or b"{}", type=_Search)
        if asked.filter_groups or asked.sorts or asked.query:
            return errors.validation(call, "filterGroups, sorts and query are not modelled by the fake HubSpot")
        if not 1 <= asked.limit <= _LARGEST_SEARCH:
            return errors.limit_too_large(call, asked.limit, _LARGEST_SEARCH)
        found, start = list(self._members(call, 0)), int(asked.after or 0)
        end = start + asked.limit
        records = call.owner.renderer.render(
            self.type, found[start:end], replace(self.shown(call), properties=asked.properties)
        )
        paging = b',"paging":%s' % msgspec.json.encode({"next": {"after": str(end)}}) if end < len(found) else b""
        return Answer(200, b'{"total":%d,"results":[%s]%s}' % (len(found), b",".join(records), paging))

    def shown(self, call: Call) -> Shape:
        return Shape(
            dated=True,
            properties=comma_lists(call.request, "properties"),
            with_history=comma_lists(call.request, "propertiesWithHistory"),
            associations=comma_lists(call.request, "associations"),
            linkable=call.owner.renderer.linkable(),
        )

    def _found(self, call: Call, after: int, limit: int) -> list[int]:
        return list(islice(self._members(call, after), limit + 1))

    def _members(self, call: Call, after: int) -> Iterator[int]:
        account = call.owner
        indexes = account.records[self.type].after(after - 1)
        if (is_listed := account.lag(self.type, at=call.at)) is not None:
            indexes = filter(is_listed, indexes)
        return filter(account.renderer.is_note, indexes) if self.name == "notes" else indexes

    def _paging(self, call: Call, found: list[int], limit: int) -> bytes:
        if len(found) <= limit:
            return b""
        record_set, form = call.owner.records[self.type], call.owner.settings.dated_cursor_form
        after = str(record_set.id_at(found[limit]) if form == "next_id" else record_set.id_at(found[limit - 1]) + 1)
        return b',"paging":%s' % msgspec.json.encode({"next": {"after": after, "link": _link(call.request, after)}})


def _is_true(flag: str | None) -> bool:
    """Accept any spelling of true: a client that writes `True` must not get live records in place of archived ones."""
    return flag is not None and flag.lower() in {"true", "1"}


def _link(request: Request, after: str) -> str:
    kept = [(name, value) for name, value in request.query if name != "after"]
    return f"https://api.hubapi.com{request.path}?{urlencode([*kept, ('after', after)])}"


DATED_LISTS = (
    DatedList("contacts", "contacts", ("contacts", "0-1"), ("crm.objects.contacts.read",)),
    DatedList("companies", "companies", ("companies", "0-2"), ("crm.objects.companies.read",)),
    DatedList("deals", "deals", ("deals", "0-3"), ("crm.objects.deals.read",)),
    DatedList("notes", "engagements", ("notes", "0-46"), ("crm.objects.contacts.read",)),
)
