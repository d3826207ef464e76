"""Receipt: the proof of completeness that a finished job carries, from its ExportTotals; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from worker.jobs.receipt_inputs import ReceiptInputs, reasons_against
from worker.records.checksum import sum_of_checksums
from worker.records.conversion import convert
from worker.records.erasure import Erased
from worker.records.findings import OTHER_ENGAGEMENTS
from worker.records.types import Offset, is_start

CHECKSUM_PREFIX = "sha256-sum:"


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetChain:
    """The range of offsets that was read; closed when it is without gaps from the start to HubSpot's "no more".

    `end` is the offset of the last page, None where that was 0 or missing; of an export in lanes it is the last id.
    """

    start: Offset | None
    end: Offset | None
    closed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a finished job proves about its records; `incomplete_because` names every reason, in words for a client.

    `properties` are those that were requested; none means HubSpot's few default ones, `*` all there are. `mended`
    counts, by kind, what had to be repaired before HubSpot's answer was JSON. `calls_by_kind` are the calls that the
    stored pages took. `left_out`, `vanished` and `not_available` are as in PageFindings.
    """

    complete: bool
    incomplete_because: str | None
    pages: int
    records: int
    distinct_ids: int | None
    duplicates: int | None
    first_id: int | None
    last_id: int | None
    offsets: OffsetChain
    checksum: str
    refetched_pages: int
    calls: Mapping[str, int]
    retries: Mapping[str, int]
    api: tuple[str, ...]
    properties: tuple[str, ...]
    mended: Mapping[str, int] = field(default_factory=dict)
    erased: int = 0
    withheld_deletions: int = 0
    calls_by_kind: Mapping[str, int] = field(default_factory=dict)
    properties_missing: tuple[str, ...] = ()
    associations_complete: bool = True
    not_available: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    vanished: int = 0

    def without(self, erased: Erased) -> Self:
        """Return the receipt after erasures, with their number and the checksum of the remaining ids."""
        left = erased.taken_from(self.checksum.removeprefix(CHECKSUM_PREFIX))
        return replace(self, erased=erased.records, checksum=CHECKSUM_PREFIX + left)

    @classmethod
    def of(cls, inputs: ReceiptInputs) -> Self:
        """Return the receipt of a job that succeeded, failed or was cancelled."""
        reasons = reasons_against(inputs)
        totals = inputs.totals
        return cls(
            complete=not reasons,
            incomplete_because="; ".join(reasons) or None,
            pages=inputs.pages,
            records=inputs.records,
            distinct_ids=inputs.distinct_ids,
            duplicates=inputs.duplicates,
            first_id=totals.first_id,
            last_id=totals.last_id,
            offsets=_chain(inputs),
            checksum=CHECKSUM_PREFIX + totals.checksum,
            refetched_pages=totals.refetched_pages,
            calls=totals.calls,
            retries=totals.retries,
            api=totals.apis,
            properties=inputs.properties,
            mended=totals.mended,
            withheld_deletions=inputs.withheld,
            calls_by_kind=totals.calls_by_kind,
            properties_missing=inputs.properties_missing,
            associations_complete=not totals.incomplete_associations,
            not_available=totals.not_available or ((OTHER_ENGAGEMENTS,) if inputs.is_of_two_lists else ()),
            left_out=totals.left_out,
            vanished=totals.vanished,
        )

    @classmethod
    def of_parts(cls, parts: Mapping[str, Self]) -> Self:
        """Add up the receipts of a sync's exports, by the names of their types: complete if all of them are.

        Ids of different types have no common order, so there is no first and no last one.
        """
        each = list(parts.values())
        reasons = [f"{name}: {part.incomplete_because}" for name, part in parts.items() if not part.complete]
        return cls(
            complete=not reasons,
            incomplete_because="; ".join(reasons) or None,
            pages=sum(part.pages for part in each),
            records=sum(part.records for part in each),
            distinct_ids=_sum_of_known([part.distinct_ids for part in each]),
            duplicates=_sum_of_known([part.duplicates for part in each]),
            first_id=None,
            last_id=None,
            offsets=OffsetChain(start=None, end=None, closed=all(part.offsets.closed for part in each)),
            checksum=CHECKSUM_PREFIX + sum_of_checksums(part.checksum.removeprefix(CHECKSUM_PREFIX) for part in each),
            refetched_pages=sum(part.refetched_pages for part in each),
            calls=_added_up(part.calls for part in each),
            retries=_added_up(part.retries for part in each),
            api=tuple(dict.fromkeys(api for part in each for api in part.api)),
            properties=tuple(dict.fromkeys(name for part in each for name in part.properties)),
            mended=_added_up(part.mended for part in each),
            withheld_deletions=sum(part.withheld_deletions for part in each),
            calls_by_kind=_added_up(part.calls_by_kind for part in each),
            properties_missing=tuple(dict.fromkeys(name for part in each for name in part.properties_missing)),
            associations_complete=all(part.associations_complete for part in each),
            not_available=tuple(dict.fromkeys(name for part in each for name in part.not_available)),
            left_out={kind: reason for part in each for kind, reason in part.left_out.items()},
            vanished=sum(part.vanished for part in each),
        )

    @classmethod
    def from_stored(cls, stored: object) -> Self:
        """Convert a stored document. Raises ValueError."""
        return convert(stored, cls)


def _chain(inputs: ReceiptInputs) -> OffsetChain:
    is_closed = is_start(inputs.start) and not inputs.has_more and not inputs.missing_pages
    return OffsetChain(start=inputs.start, end=inputs.end, closed=is_closed)


def _sum_of_known(numbers: Sequence[int | None]) -> int | None:
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _added_up(counts: Iterable[Mapping[str, int]]) -> Mapping[str, int]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total)
