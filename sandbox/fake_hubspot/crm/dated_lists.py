"""The dated object lists, /crm/objects/2026-09/{type}: opaque string cursors and no unified engagement feed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import urlencode

import msgspec

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.admission import refuse_sensitive
from sandbox.fake_hubspot.call import Call, Route
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.parameters import comma_lists, integer, is_true
from sandbox.fake_hubspot.records.registry import RECORD_TYPES
from sandbox.fake_hubspot.records.shape import RecordType, Shape

VERSIONS = ("/crm/objects/2026-03", "/crm/objects/2026-09", "/crm/v3/objects")
"""Version 3 has the same contract as the dated versions."""
_DEFAULT_LIMIT = 10
_LARGEST_LIMIT = 100
_LARGEST_LIMIT_WITH_HISTORY = 50


@dataclass(frozen=True)
class DatedList:
    """The list of one type; `after` includes the record that it names, and the last page has no `paging`."""

    record_type: RecordType

    @property
    def name(self) -> str:
        return self.record_type.name

    @property
    def aliases(self) -> tuple[str, ...]:
        return self.record_type.aliases

    def route(self, answer: Callable[[Call], Answer], *, name: str = "", is_search: bool = False) -> Route:
        """Return a route that needs the scopes of the type."""
        record_type = self.record_type
        return Route(name or self.route_name, answer, record_type.scopes, record_type.needs, is_search=is_search)

    @property
    def route_name(self) -> str:
        """Custom objects share one, because faults are scripted by names that are known."""
        return self.name if self.name in RECORD_TYPES else "custom_objects"

    def answer(self, call: Call) -> Answer:
        """Return one page. Raises InvalidIntegerError."""
        asked = comma_lists(call.request, "associations")
        if unknown := [alias for alias in asked if not call.owner.can_associate(alias)]:
            return errors.unknown_object_type(call, unknown[0])
        shape = self.shown(call)
        if refusal := refuse_sensitive(call, self.record_type, (*shape.properties, *shape.with_history)):
            return refusal
        limit = integer(call.request, "limit", default=_DEFAULT_LIMIT)
        largest = _LARGEST_LIMIT_WITH_HISTORY if shape.with_history else _LARGEST_LIMIT
        if not 1 <= limit <= largest:
            return errors.limit_too_large(call, limit, largest)
        after = integer(call.request, "after", default=0)
        found = list(islice(self._members(call, after, archived=shape.archived), limit + 1))
        records = call.owner.renderer.render(self.name, found[:limit], shape)
        body = b'{"results":[%s]%s}' % (b",".join(records), self._paging(call, found, limit))
        return Answer(200, body)

    def shown(self, call: Call) -> Shape:
        """Return the shape of a call, with the names of associated types that the API knows."""
        request, account = call.request, call.owner
        types = (account.find_type(alias) for alias in comma_lists(request, "associations"))
        shape = Shape(
            dated=True,
            properties=comma_lists(request, "properties"),
            with_history=comma_lists(request, "propertiesWithHistory"),
            associations=tuple(dict.fromkeys(each.name for each in types if each)),
            archived=is_true(request.first("archived")),
            long_history=account.settings.long_history,
        )
        return account.renderer.linked(self.name, shape)

    def _members(self, call: Call, after: int, *, archived: bool) -> Iterator[int]:
        account = call.owner
        if archived:
            return account.archived(self.record_type, after=after - 1, at=call.at)
        indexes = account.members(self.record_type, after=after - 1)
        is_listed = account.lag(self.record_type.record_set, at=call.at)
        return indexes if is_listed is None else filter(is_listed, indexes)

    def _paging(self, call: Call, found: list[int], limit: int) -> bytes:
        if len(found) <= limit:
            return b""
        record_set, form = call.owner.records[self.record_type.record_set], call.owner.settings.dated_cursor_form
        after = str(record_set.id_at(found[limit]) if form == "next_id" else record_set.id_at(found[limit - 1]) + 1)
        return b',"paging":%s' % msgspec.json.encode({"next": {"after": after, "link": _link(call.request, after)}})


def _link(request: Request, after: str) -> str:
    kept = [(name, value) for name, value in request.query if name != "after"]
    return f"https://api.hubapi.com{request.path}?{urlencode([*kept, ('after', after)])}"


DATED_LISTS = tuple(DatedList(each) for each in RECORD_TYPES.values() if each.dated_number)


def custom_lists(account: Account) -> tuple[DatedList, ...]:
    """Return the lists of an account's custom objects."""
    return tuple(DatedList(account.record_types[name]) for name in account.settings.custom_objects)
