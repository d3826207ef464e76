"""ReceiptInputs: what a receipt is computed from, and what of it speaks against completeness; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from worker.jobs.totals import ExportTotals
from worker.records.findings import NOT_ASKED
from worker.records.types import Offset, is_start


class Outcome(StrEnum):
    """How a job ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptInputs:
    """What a receipt is computed from.

    `start` is the requested offset (None: the start), `end` the one that HubSpot gave with the last page.
    `stored_pages` is how many of the job's `pages` the store holds. `distinct` is the exact number of distinct ids,
    needed only where the order of ids does not prove them distinct. `is_of_two_lists`: the legacy list of engagements
    gave a part, the dated lists of their kinds the rest. `changed_since`: a feed of changes was read. `chosen` are the
    properties that the request names, `*` for all; `properties_missing` were asked for, and HubSpot does not define
    them any more. `withheld` counts records of the copy that were not found, and not marked as deleted for lack of
    proof. `deletions_unknown` says why HubSpot did not tell what was deleted.
    """

    totals: ExportTotals
    outcome: Outcome
    pages: int
    records: int
    start: Offset | None
    end: Offset | None
    has_more: bool
    limit: int | None
    stored_pages: int
    distinct: int | None = None
    is_of_two_lists: bool = False
    changed_since: datetime | None = None
    withheld: int = 0
    chosen: tuple[str, ...] = ()
    properties_missing: tuple[str, ...] = ()
    deletions_unknown: str | None = None

    @property
    def missing_pages(self) -> int:
        """How many pages the store has lost; one that was stored but not counted is no loss."""
        return max(0, self.pages - self.stored_pages)

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties that were asked for, by parameters and by name; none where no page came."""
        return tuple(dict.fromkeys((*self.totals.properties, *self.chosen))) if self.totals.apis else ()

    @property
    def distinct_ids(self) -> int | None:
        """The number of distinct ids; None when it is unknown."""
        return self.totals.ids if self.totals.proves_distinct else self.distinct

    @property
    def duplicates(self) -> int | None:
        """How many records repeated an earlier id; None when it is unknown."""
        return None if self.distinct_ids is None else self.totals.ids - self.distinct_ids


def reasons_against(inputs: ReceiptInputs) -> list[str]:
    """Return every reason why an export is not proven complete, in words for a client."""
    return [*_breaks_in_the_chain(inputs), *_doubts_about_ids(inputs), *_doubts_about_the_list(inputs)]


def _breaks_in_the_chain(inputs: ReceiptInputs) -> Iterator[str]:
    if inputs.changed_since is not None:
        yield f"only what has changed since {inputs.changed_since:%Y-%m-%dT%H:%M:%SZ} was asked for"
    if not is_start(inputs.start):
        yield f"the export began at offset {inputs.start}, not at the start"
    if inputs.outcome in _CUT_SHORT:
        yield _CUT_SHORT[inputs.outcome]
    elif inputs.has_more and inputs.limit is not None:
        yield f"a limit of {_counted(inputs.limit, 'record')} was asked for, and HubSpot has more"
    elif inputs.has_more:
        yield "HubSpot has more records"
    if inputs.totals.left_off:
        yield f"HubSpot sent {_counted(inputs.totals.left_off, 'record')} more than the limit, left off here"
    if inputs.totals.unsaid:
        yield f"{_counted(inputs.totals.unsaid, 'page')} did not say whether there is more"
    if inputs.is_of_two_lists and inputs.totals.left_out:
        names = ", ".join(inputs.totals.left_out)
        yield f"a part came from the legacy list of engagements, another from dated lists, without those of {names}"
    if inputs.missing_pages:
        yield f"{_counted(inputs.missing_pages, 'page')} of {inputs.pages} can no longer be found"


_CUT_SHORT = {
    Outcome.FAILED: "the export failed before its end",
    Outcome.CANCELLED: "the export was cancelled before its end",
}


def _doubts_about_ids(inputs: ReceiptInputs) -> Iterator[str]:
    totals = inputs.totals
    if totals.records != inputs.records:
        yield f"the account of ids covers {_counted(totals.records, 'record')}, not {inputs.records}"
    if totals.ids_unreadable:
        yield f"{_counted(totals.ids_unreadable, 'record')} came without an id"
    if inputs.duplicates is None:
        yield "the ids came out of order and were not counted, so nothing shows that they are distinct"
    elif inputs.duplicates:
        yield f"{_counted(inputs.duplicates, 'record')} came with an id that had come before"


def _doubts_about_the_list(inputs: ReceiptInputs) -> Iterator[str]:
    for name, reason in inputs.totals.left_out.items():
        if reason != NOT_ASKED:
            yield f"HubSpot refused the list of {name}: {reason}"
    if inputs.totals.incomplete_associations:
        yield f"the associations of {_counted(inputs.totals.incomplete_associations, 'record')} are not all there"
    if inputs.deletions_unknown is not None:
        yield f"deletions are not known: {inputs.deletions_unknown}"
    if inputs.withheld:
        yield (
            f"{_counted(inputs.withheld, 'deletion')} withheld: HubSpot's list lacks more of the copy than one answer "
            "proves; a later full sync that finds the same does them, or one that is told to confirm_deletions"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
