"""ModelHubSpot: contacts that come, change and go while they are read, and what was true of each at which call."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec
from pydantic import SecretStr

from sandbox.fake_hubspot.records.cursors import CursorForm
from worker.export.interfaces import FetchedPage, PageQuery
from worker.records.page import read_page
from worker.records.types import CONTACTS

_OF_SEVEN = 3  # offsets include the record that they name, where forms are mixed


@dataclass
class RedisCircuitBreaker:
    """A record: after how many calls it was created, changed, and deleted."""

    vid: int
    created: int
    changed: list[int] = field(default_factory=list)
    deleted: int | None = None

    def versions(self, *, calls: int) -> range:
        """Return how many changes may have happened before one of so many calls read it."""
        before = len([change for change in self.changed if change == 0])
        return range(before, len([change for change in self.changed if change <= calls]) + 1)


class ModelHubSpot:
    """A CrmSource. New contacts have higher ids than all before, as HubSpot's have; a deleted one never comes back.

    `end_found_by` is the last call that had no more behind an id that there is or was. `form` is what offsets name: the
    last id and without that record, or one of the two others and with it, or any of the three.
    """

    def __init__(self, dice: random.Random, *, contacts: int, unrest: float, form: CursorForm = "last_id") -> None:
        self.form = form
        self.contacts: dict[int, RedisCircuitBreaker] = {}
        self.calls = 0
        self.end_found_by = 0
        self._dice = dice
        self._unrest = unrest
        self._ids: list[int] = []
        self._next_id = dice.choice([1, 501, 3_400_000_300])
        for _ in range(contacts):
            self._create()

    def fetch_page(self, query: PageQuery, _access_token: SecretStr) -> FetchedPage:
        """Answer as the list of all contacts does."""
        while self._dice.random() < self._unrest:
            self._dice.choice([self._create, self._create, self._change, self._delete])()
        self.calls += 1
        offset = query.offset or query.after_id or 0
        assert isinstance(offset, int)
        first = bisect_right(self._ids, offset - self._includes(offset))
        vids = self._ids[first : first + query.count]
        following = self._ids[first + query.count : first + query.count + 1]
        has_more = following != []
        if not has_more and offset <= self._next_id:
            self.end_found_by = self.calls
        body = {
            "contacts": [{"vid": vid, "version": len(self.contacts[vid].changed)} for vid in vids],
            "has-more": has_more,
            "vid-offset": self._offset_between(vids[-1], following[0]) if following else self._dice.choice([0, offset]),
        }
        return FetchedPage(page=read_page(CONTACTS, msgspec.json.encode(body)), api="legacy")

    def present(self) -> Iterator[RedisCircuitBreaker]:
        """Return the records that exist."""
        return (self.contacts[vid] for vid in self._ids)

    def _offset_between(self, last: int, following: int) -> int:
        named = {"last_id": last, "last_id_plus_1": last + 1, "next_id": following}
        if self.form != "mixed":
            return named[self.form]
        return self._dice.choice([each for each in named.values() if self._leads_to(each, last, following)])

    def _leads_to(self, offset: int, last: int, following: int) -> bool:
        return offset not in {last, following} or self._includes(offset) == (offset == following)

    def _includes(self, offset: int) -> bool:
        """Whether a page includes the record that its offset names: always where a neighbour before it may be."""
        if self.form != "mixed":
            return self.form != "last_id"
        return offset - 1 in self.contacts or offset * 2_654_435_761 % 7 < _OF_SEVEN

    def _create(self) -> None:
        distance = self._dice.choice([1, 1, 2, 7, 40])
        if self._dice.random() < 0.01:  # as between ids of an old and of a new kind
            distance = self._dice.randrange(10_000, 10**9)
        self._next_id += distance
        self.contacts[self._next_id] = RedisCircuitBreaker(self._next_id, created=self.calls)
        self._ids.append(self._next_id)

    def _change(self) -> None:
        if self._ids:
            self.contacts[self._dice.choice(self._ids)].changed.append(self.calls)

    def _delete(self) -> None:
        if self._ids:
            self.contacts[self._ids.pop(self._dice.randrange(len(self._ids)))].deleted = self.calls
