"""ExportTotals: the running totals of an export, of a fixed size however many records there are; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, starmap
from operator import gt, lt
from types import MappingProxyType
from typing import Literal, Self, TypeAlias

from worker.records.checksum import sum_of_checksums, sum_of_ids
from worker.records.conversion import convert
from worker.records.findings import BEFORE_RETRY, NOT_ASKED, PLAIN_PAGE, CallKind, PageFindings

IdOrder: TypeAlias = Literal["unknown", "ascending", "descending", "mixed"]
"""How ids arrived so far: unknown for fewer than two, ascending and descending without repeats, mixed otherwise."""
_NO_ANSWER, _OK = "none", "200"
_ONE_LIST_CALL: Mapping[str, int] = MappingProxyType({CallKind.LIST.value: 1})
_STORED_IF_ANY = frozenset({"left_out", "vanished", "incomplete_associations", "not_available"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportTotals:
    """The running totals of a job over slices, workers and retries; field names are the stored names.

    `records` are those that count, with and without an id; those beyond the job's limit are `left_off`.
    `order` proves ids distinct without remembering them. `checksum` is the sum of the SHA-256 of every id's decimal
    text, modulo 2^256, in 64 hex digits: it depends neither on the order of ids nor on the size of pages, but on
    repeats. `bytes` is the size of the page bodies as HubSpot sent them, before compression.
    `unsaid` counts pages without HubSpot's flag for more: they are taken for the end, but do not prove it.
    `calls` and `retries` are counted by HubSpot's status, or under "none" where no answer came, `mended` by what had to
    be repaired before the records were JSON. `calls_by_kind` counts the calls that pages took, by CallKind; what
    follows it is as in PageFindings.
    """

    records: int = 0
    ids_unreadable: int = 0
    left_off: int = 0
    first_id: int | None = None
    last_id: int | None = None
    order: IdOrder = "unknown"
    checksum: str = "0" * 64
    refetched_pages: int = 0
    unsaid: int = 0
    bytes: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)
    retries: Mapping[str, int] = field(default_factory=dict)
    mended: Mapping[str, int] = field(default_factory=dict)
    apis: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()
    calls_by_kind: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    vanished: int = 0
    incomplete_associations: int = 0
    not_available: tuple[str, ...] = ()

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Convert a stored document; a missing field has its default. Raises ValueError."""
        return convert(stored, cls)

    def to_stored(self) -> dict[str, object]:
        """Return what `asdict` does, without its deep copy: this is called for each page of an export."""
        named = ((each, getattr(self, each)) for each in self.__slots__)
        return {name: value for name, value in named if value or name not in _STORED_IF_ANY}

    @property
    def ids(self) -> int:
        """How many records had an id."""
        return self.records - self.ids_unreadable

    @property
    def proves_distinct(self) -> bool:
        """Whether the order alone proves that no id came twice; otherwise they have to be counted."""
        return self.order != "mixed"

    @property
    def read_through(self) -> int | None:
        """The id up to which all records were read in order; None where their ids do not tell."""
        return self.last_id if self.order == "ascending" and not self.ids_unreadable else None

    @property
    def refused(self) -> frozenset[str]:
        """The lists that HubSpot has refused in this run of the job."""
        return frozenset(name for name, reason in self.left_out.items() if _is_refusal_of_this_run(reason))

    def after_page(  # noqa: PLR0913 - what there is to know of a page
        self,
        ids: Sequence[int | None],
        *,
        most: int | None = None,
        was_refetched: bool = False,
        says_more: bool = True,
        api: str,
        properties: Sequence[str] = (),
        mended: Iterable[str] = (),
        size: int = 0,
        findings: PageFindings = PLAIN_PAGE,
    ) -> Self:
        """Add the ids of one more page, None for a record without one; records beyond `most` do not count."""
        counted = ids if most is None else ids[:most]
        known = [each for each in counted if each is not None]
        return replace(
            self._after_ids(known).with_findings(findings),
            records=self.records + len(counted),
            ids_unreadable=self.ids_unreadable + len(counted) - len(known),
            left_off=self.left_off + len(ids) - len(counted),
            refetched_pages=self.refetched_pages + was_refetched,
            unsaid=self.unsaid + (not says_more),
            bytes=self.bytes + size,
            apis=_with(self.apis, (api,)),
            properties=_with(self.properties, properties),
            mended=_added(self.mended, Counter(map(str, mended))),
            calls_by_kind=_added(self.calls_by_kind, findings.calls or _ONE_LIST_CALL),
        )

    def with_findings(self, findings: PageFindings) -> Self:
        """Add what is known of a page besides its records and calls: of one that has none of either as well."""
        if findings is PLAIN_PAGE:
            return self
        return replace(
            self,
            left_out={**self.left_out, **findings.left_out} if findings.left_out else self.left_out,
            vanished=self.vanished + findings.vanished,
            incomplete_associations=self.incomplete_associations + findings.incomplete_associations,
            not_available=_with(self.not_available, findings.not_available),
        )

    def after_call(self, status: int | None) -> Self:
        """Count one call by HubSpot's status; None: no answer came."""
        return replace(self, calls=_one_more(self.calls, status))

    def after_archived(self, calls: Mapping[str, int]) -> Self:
        """Count the calls of a page of archived records, by kind; they are none of the job's records."""
        return replace(self, calls_by_kind=_added(self.calls_by_kind, calls))

    def after_definitions(self, calls: int) -> Self:
        """Count so many calls for definitions."""
        if calls == 0:
            return self
        return replace(
            self,
            calls=_added(self.calls, {_OK: calls}),
            calls_by_kind=_added(self.calls_by_kind, {CallKind.DEFINITIONS.value: calls}),
        )

    def after_retry(self, status: int | None) -> Self:
        """Count a call that is retried because of this status."""
        return replace(self, retries=_one_more(self.retries, status))

    def after_refetch(self) -> Self:
        """Count a page that was already stored."""
        return replace(self, refetched_pages=self.refetched_pages + 1)

    def before_retry(self) -> Self:
        """Let lists that HubSpot has refused be asked again; what was read without them stays without them."""
        of_run = {name: f"{BEFORE_RETRY}{self.left_out[name]}" for name in self.refused}
        return replace(self, left_out={**self.left_out, **of_run}) if of_run else self

    def start_over(self) -> Self:
        """Forget the records of a job that starts over, and keep its calls."""
        return type(self)(
            refetched_pages=self.refetched_pages,
            calls=self.calls,
            retries=self.retries,
            calls_by_kind=self.calls_by_kind,
        )

    def of_records(self) -> Self:
        """Keep the records alone: what `start_over` forgets."""
        return replace(self, refetched_pages=0, calls={}, retries={}, calls_by_kind={})

    def merged_with(self, following: Self) -> Self:
        """Add the records of another part as if they had come after these."""
        return replace(
            self,
            records=self.records + following.records,
            ids_unreadable=self.ids_unreadable + following.ids_unreadable,
            left_off=self.left_off + following.left_off,
            first_id=following.first_id if self.first_id is None else self.first_id,
            last_id=self.last_id if following.last_id is None else following.last_id,
            order=self._order_before(following),
            checksum=sum_of_checksums((self.checksum, following.checksum)),
            refetched_pages=self.refetched_pages + following.refetched_pages,
            unsaid=self.unsaid + following.unsaid,
            bytes=self.bytes + following.bytes,
            calls=_added(self.calls, following.calls),
            retries=_added(self.retries, following.retries),
            mended=_added(self.mended, following.mended),
            apis=_with(self.apis, following.apis),
            properties=_with(self.properties, following.properties),
            calls_by_kind=_added(self.calls_by_kind, following.calls_by_kind),
            left_out={**self.left_out, **following.left_out},
            vanished=self.vanished + following.vanished,
            incomplete_associations=self.incomplete_associations + following.incomplete_associations,
            not_available=_with(self.not_available, following.not_available),
        )

    def _after_ids(self, ids: Sequence[int]) -> Self:
        if not ids:
            return self
        return replace(
            self,
            first_id=ids[0] if self.first_id is None else self.first_id,
            last_id=ids[-1],
            order=self._order_with(ids),
            checksum=sum_of_ids(ids, start=self.checksum),
        )

    def _order_with(self, ids: Sequence[int]) -> IdOrder:
        if self.order == "mixed":
            return "mixed"
        order = _order_of(ids if self.last_id is None else [self.last_id, *ids])
        return order if self.order in {"unknown", order} else "mixed"

    def _order_before(self, following: Self) -> IdOrder:
        if self.last_id is None or following.first_id is None:
            return following.order if self.last_id is None else self.order
        orders = {self.order, following.order, _order_of([self.last_id, following.first_id])} - {"unknown"}
        return orders.pop() if len(orders) == 1 else "mixed"


def _is_refusal_of_this_run(reason: str) -> bool:
    return reason != NOT_ASKED and not reason.startswith(BEFORE_RETRY)


def _with(known: tuple[str, ...], more: Sequence[str]) -> tuple[str, ...]:
    return known if known == more else tuple(dict.fromkeys((*known, *more)))


def _added(counts: Mapping[str, int], more: Mapping[str, int]) -> Mapping[str, int]:
    if not more:
        return counts
    return {key: counts.get(key, 0) + more.get(key, 0) for key in dict.fromkeys((*counts, *more))}


def _one_more(counts: Mapping[str, int], status: int | None) -> Mapping[str, int]:
    key = _NO_ANSWER if status is None else str(status)
    return {**counts, key: counts.get(key, 0) + 1}


def _order_of(ids: Sequence[int]) -> IdOrder:
    if len(ids) < 2:  # noqa: PLR2004 - it takes two to be in order
        return "unknown"
    if all(starmap(lt, pairwise(ids))):
        return "ascending"
    return "descending" if all(starmap(gt, pairwise(ids))) else "mixed"
