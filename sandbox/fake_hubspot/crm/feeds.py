"""The legacy feeds of recent modifications: latest first, at most 30 days or 10,000 records back."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.crm.legacy_lists import LEGACY_LISTS_BY_TYPE, LegacyList
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.parameters import integer
from sandbox.fake_hubspot.records.shape import Shape

_DEFAULT_SIZE = 20
_LARGEST_SIZE = 100
_MOST_RECORDS = 10_000
_LONGEST_MS = 30 * 24 * 3600 * 1000
_MS = 1000
_SHOW_ALL = frozenset({"companies", "deals"})


@dataclass(frozen=True)
class Feed:
    """One feed. Recorded: all but contacts name the flag `hasMore` and the list `results`, and have a `total`.

    Their offset is a position, so that concurrent modifications make records appear twice or not at all.
    The contacts feed continues from the time and id of the last record, which must be sent together, and has no
    `since`. Records of companies and deals lack fields that the list has, and contain every property when the request
    names none; whether HubSpot honours the names otherwise is unknown, hence the account setting `feeds_show_all`.
    """

    records: LegacyList
    path: str
    page: Callable[[Call, "Feed"], bytes]

    @property
    def type(self) -> str:
        return self.records.type

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of the list; any one is enough."""
        return self.records.scopes

    def answer(self, call: Call) -> Answer:
        """Return one page. Raises InvalidIntegerError."""
        return Answer(200, self.page(call, self))

    def modified(self, call: Call, *, since_ms: int = 0) -> list[int]:
        """Return the indexes of all records in the feed."""
        oldest_ms = int(call.at * _MS) - _LONGEST_MS
        return call.owner.records[self.type].modified_since(max(oldest_ms, since_ms))

    def render(self, call: Call, page: list[int]) -> bytes:
        return b",".join(call.owner.renderer.render(self.type, page, self._shown(call)))

    def _shown(self, call: Call) -> Shape:
        shape = replace(self.records.shown(call), of_feed=True)
        if self.type not in _SHOW_ALL:
            return shape
        unasked = not (shape.properties or shape.with_history)
        return replace(shape, every_property=shape.every_property or unasked or call.owner.settings.feeds_show_all)


def _size(request: Request) -> int:
    size = integer(request, "count", default=_DEFAULT_SIZE)
    return min(size, _LARGEST_SIZE) if size > 0 else _DEFAULT_SIZE


def _by_position(call: Call, feed: Feed) -> bytes:
    found = feed.modified(call, since_ms=integer(call.request, "since", default=0))[:_MOST_RECORDS]
    start = max(0, integer(call.request, "offset", default=0))
    page = found[start : start + _size(call.request)]
    end = start + len(page)
    more = b"true" if end < len(found) else b"false"
    return b'{"results":[%b],"hasMore":%b,"offset":%d,"total":%d}' % (feed.render(call, page), more, end, len(found))


def _by_time(call: Call, feed: Feed) -> bytes:
    record_set = call.owner.records[feed.type]
    after = (integer(call.request, "timeOffset", default=0), integer(call.request, "vidOffset", default=0))
    facts = [(index, record_set.facts(index)) for index in feed.modified(call)]
    left = [(index, each) for index, each in facts if not after[0] or (each.modified_ms, each.id) < after]
    page = left[: _size(call.request)]
    last = page[-1][1] if page else None
    is_last = len(left) <= len(page)
    final = call.owner.settings.final_cursors.get("contacts") if is_last else None
    vid, at_ms = (last.id, last.modified_ms) if last is not None and final != "zero" else (0, 0)
    place = b"" if final == "none" else b',"vid-offset":%d,"time-offset":%d' % (vid, at_ms)
    records = feed.render(call, [index for index, _ in page])
    return b'{"contacts":[%b],"has-more":%b%b}' % (records, b"false" if is_last else b"true", place)


LEGACY_FEEDS = (
    Feed(LEGACY_LISTS_BY_TYPE["contacts"], "/contacts/v1/lists/recently_updated/contacts/recent", _by_time),
    Feed(LEGACY_LISTS_BY_TYPE["companies"], "/companies/v2/companies/recent/modified", _by_position),
    Feed(LEGACY_LISTS_BY_TYPE["deals"], "/deals/v1/deal/recent/modified", _by_position),
    Feed(LEGACY_LISTS_BY_TYPE["engagements"], "/engagements/v1/engagements/recent/modified", _by_position),
)
