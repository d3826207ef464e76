"""Receipt: what totals remember, when a receipt is complete, and every reason why it is not."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import TypedDict, Unpack

import bson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from worker.jobs.receipt import OffsetChain, Receipt
from worker.jobs.receipt_inputs import Outcome, ReceiptInputs
from worker.jobs.totals import ExportTotals
from worker.records.findings import PageFindings
from worker.records.types import Offset

REFERENCE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "exports.md"
IDS = [3412996225 + 7 * place for place in range(100)]

ids_of_records = st.lists(st.integers(min_value=0, max_value=2**63 - 1), max_size=30)
page_sizes = st.integers(min_value=1, max_value=31)


class Changes(TypedDict, total=False):
    """Where a test differs from the usual inputs."""

    totals: ExportTotals
    outcome: Outcome
    pages: int
    records: int
    start: Offset | None
    end: Offset | None
    has_more: bool
    limit: int | None
    stored_pages: int
    distinct: int | None
    is_of_two_lists: bool
    properties_missing: tuple[str, ...]


def totals_of(*pages: Sequence[int | None]) -> ExportTotals:
    """Return the totals of pages, each of which came at the first call."""
    totals = ExportTotals()
    for ids in pages:
        totals = totals.after_call(200).after_page(ids, api="legacy")
    return totals


def in_pages(ids: Sequence[int], size: int) -> ExportTotals:
    return totals_of(*(ids[first : first + size] for first in range(0, len(ids), size)))


def receipt(**changes: Unpack[Changes]) -> Receipt:
    """Return the receipt of a whole export of two pages, except for these changes."""
    totals = changes.get("totals", totals_of(IDS[:60], IDS[60:]))
    usual = Changes(
        totals=totals,
        outcome=Outcome.SUCCEEDED,
        pages=2,
        records=totals.records,
        start=None,
        end=IDS[-1],
        has_more=False,
        limit=None,
        stored_pages=2,
    )
    return Receipt.of(ReceiptInputs(**(usual | changes)))


def through_mongodb(value: object) -> object:
    document: dict[str, object] = bson.decode(bson.encode({"value": value}))
    return document["value"]


# The totals


@given(ids_of_records, st.randoms(use_true_random=False))
def test_the_checksum_does_not_depend_on_the_order(ids: list[int], chance: Random) -> None:
    shuffled = chance.sample(ids, len(ids))

    assert totals_of(shuffled).checksum == totals_of(ids).checksum


@given(ids_of_records, page_sizes, page_sizes)
def test_totals_do_not_depend_on_the_page_size_but_for_its_calls(ids: list[int], one: int, other: int) -> None:
    first, second = in_pages(ids, one), in_pages(ids, other)

    of_calls: dict[str, object] = {"calls": {}, "calls_by_kind": {}}
    assert {**asdict(first), **of_calls} == {**asdict(second), **of_calls}


@given(ids_of_records, ids_of_records)
def test_the_checksum_tells_other_ids_apart(ids: list[int], others: list[int]) -> None:
    assume(sorted(ids) != sorted(others))

    assert totals_of(ids).checksum != totals_of(others).checksum


@given(st.lists(st.integers(min_value=0, max_value=50), max_size=12), page_sizes)
def test_an_order_is_claimed_only_for_ids_that_keep_it(ids: list[int], size: int) -> None:
    order = in_pages(ids, size).order

    rises, falls = (ids == sorted(set(ids), reverse=reverse) for reverse in (False, True))
    expected = "unknown" if len(ids) < 2 else "ascending" if rises else "descending" if falls else "mixed"
    assert order == expected


@given(ids_of_records, st.integers(0, 31), page_sizes)
def test_parts_that_are_joined_are_as_one(ids: list[int], cut: int, size: int) -> None:
    joined = in_pages(ids[:cut], size).merged_with(in_pages(ids[cut:], size))
    whole = in_pages(ids[:cut], size)
    for first in range(cut, len(ids), size):
        whole = whole.after_call(200).after_page(ids[first : first + size], api="legacy")
    assert joined == whole


def test_all_totals_are_added_up() -> None:
    one = ExportTotals().after_page([1, None], api="legacy", properties=["email"], mended=["x", "y", "x"])
    one = one.after_call(200).after_refetch()
    other = ExportTotals().after_page([5, None, 7], most=2, says_more=False, api="dated", mended=["y"])
    other = other.after_call(502).after_retry(502)
    both = one.merged_with(other)
    assert (both.records, both.ids_unreadable, both.left_off, both.unsaid, both.refetched_pages) == (4, 2, 1, 1, 1)
    assert (both.apis, both.properties) == (("legacy", "dated"), ("email",))
    assert (both.calls, both.retries, both.mended) == ({"200": 1, "502": 1}, {"502": 1}, {"x": 2, "y": 2})


@given(ids_of_records, page_sizes)
def test_records_and_calls_can_be_told_apart_and_put_together_again(ids: list[int], size: int) -> None:
    totals = in_pages(ids, size).after_refetch().after_retry(500)
    assert totals.start_over().merged_with(totals.of_records()) == totals


def test_the_checksum_is_the_documented_sum() -> None:
    digests = [sha256(text).digest() for text in (b"501", b"502")]

    expected = sum(int.from_bytes(digest, "big") for digest in digests) % 2**256
    assert totals_of([501, 502]).checksum == f"{expected:064x}"


def test_the_checksum_stays_64_digits_long_when_the_sum_runs_over() -> None:
    many = totals_of(range(1000))

    assert re.fullmatch("[0-9a-f]{64}", many.checksum)
    assert many.checksum == in_pages(range(1000), 7).checksum


def test_the_first_and_the_last_id_are_those_of_records_that_have_one() -> None:
    totals = totals_of([None, 5, 7], [], [9, None], [None])

    assert (totals.first_id, totals.last_id) == (5, 9)
    assert (totals.records, totals.ids, totals.ids_unreadable, totals.order) == (6, 3, 3, "ascending")


def test_records_beyond_what_was_asked_for_do_not_count() -> None:
    totals = ExportTotals().after_page([1, 2, None, 4], most=2, api="legacy")

    assert (totals.records, totals.last_id, totals.ids_unreadable, totals.left_off) == (2, 2, 0, 2)
    assert totals.checksum == totals_of([1, 2]).checksum


def test_calls_and_retries_are_counted_by_status() -> None:
    totals = ExportTotals()
    for status in (200, 429, None, 200, None):
        totals = totals.after_call(status)
    totals = totals.after_retry(429).after_retry(None).after_retry(None)

    assert totals.calls == {"200": 2, "429": 1, "none": 2}
    assert totals.retries == {"429": 1, "none": 2}


def test_the_apis_are_kept_in_the_order_of_their_use() -> None:
    totals = ExportTotals()
    for api in ("legacy", "legacy", "dated", "legacy"):
        totals = totals.after_page([], api=api)

    assert totals.apis == ("legacy", "dated")


def test_pages_fetched_again_are_counted() -> None:
    totals = (
        ExportTotals()
        .after_page([1], was_refetched=True, api="legacy")
        .after_page([2], was_refetched=False, api="legacy")
    )

    assert totals.refetched_pages == 1


def test_a_job_that_starts_over_forgets_its_records_and_remembers_its_calls() -> None:
    totals = totals_of([1, 2]).after_call(429).after_retry(429).after_page([3], was_refetched=True, api="legacy")

    assert totals.start_over() == ExportTotals(
        refetched_pages=1, calls={"200": 1, "429": 1}, retries={"429": 1}, calls_by_kind={"list": 2}
    )


def test_calls_for_definitions_count_as_calls_and_by_their_kind() -> None:
    totals = totals_of([1, 2]).after_definitions(3)

    assert (totals.calls, totals.calls_by_kind) == ({"200": 4}, {"list": 1, "definitions": 3})
    assert totals.after_definitions(0) == totals


# The receipt


def test_a_whole_export_is_complete_and_says_what_it_is_made_of() -> None:
    totals = ExportTotals().after_call(429).after_retry(429)
    totals = totals.after_call(200).after_page(IDS[:60], api="legacy", properties=["email"])
    totals = totals.after_call(200).after_page(IDS[60:], was_refetched=True, api="dated", properties=["email"])

    assert receipt(totals=totals) == Receipt(
        complete=True,
        incomplete_because=None,
        pages=2,
        records=100,
        distinct_ids=100,
        duplicates=0,
        first_id=IDS[0],
        last_id=IDS[-1],
        offsets=OffsetChain(start=None, end=IDS[-1], closed=True),
        checksum="sha256-sum:" + totals_of(IDS).checksum,
        refetched_pages=1,
        calls={"200": 2, "429": 1},
        retries={"429": 1},
        api=("legacy", "dated"),
        properties=("email",),
        calls_by_kind={"list": 2},
    )


def test_what_pages_and_properties_lack_is_in_the_receipt() -> None:
    findings = PageFindings(
        calls={"list": 4, "batch": 1},
        left_out={"EMAIL": "no scope"},
        vanished=2,
        incomplete_associations=1,
        not_available=("profile-token",),
    )
    totals = ExportTotals().after_call(200).after_page(IDS, api="dated", findings=findings)

    found = receipt(totals=totals, pages=1, stored_pages=1, properties_missing=("gone",))

    assert (found.calls_by_kind, found.left_out, found.vanished, found.not_available, found.properties_missing) == (
        {"list": 4, "batch": 1},
        {"EMAIL": "no scope"},
        2,
        ("profile-token",),
        ("gone",),
    )
    assert (found.associations_complete, found.complete) == (False, False)
    assert found.incomplete_because == (
        "HubSpot refused the list of EMAIL: no scope; the associations of 1 record are not all there"
    )


def test_an_empty_account_is_complete() -> None:
    empty = receipt(totals=totals_of([]), pages=1, stored_pages=1, end=None)

    assert (empty.complete, empty.distinct_ids, empty.first_id, empty.last_id) == (True, 0, None, None)


def test_ids_that_only_fall_are_proven_distinct_as_well() -> None:
    falling = receipt(totals=totals_of(IDS[:39:-1], IDS[39::-1]))

    assert (falling.complete, falling.distinct_ids, falling.first_id) == (True, 100, IDS[-1])


def test_ids_out_of_order_are_complete_once_they_were_counted() -> None:
    counted = receipt(totals=totals_of([2, 1, 3]), distinct=3)

    assert (counted.complete, counted.distinct_ids, counted.duplicates) == (True, 3, 0)


def test_a_limit_that_ends_where_hubspot_has_no_more_is_complete() -> None:
    assert receipt(limit=100).complete


@pytest.mark.parametrize("start", [None, 0, "0", ""])
def test_what_hubspot_takes_for_the_start_is_the_start(start: Offset | None) -> None:
    assert receipt(start=start).offsets.closed


def test_a_page_that_was_stored_but_not_counted_is_no_loss() -> None:
    stopped = receipt(outcome=Outcome.CANCELLED, has_more=True, stored_pages=3)

    assert stopped.incomplete_because == "the export was cancelled before its end"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (Changes(outcome=Outcome.FAILED, has_more=True), "the export failed before its end"),
        (Changes(outcome=Outcome.CANCELLED, has_more=True), "the export was cancelled before its end"),
        (Changes(has_more=True, limit=100), "a limit of 100 records was asked for, and HubSpot has more"),
        (Changes(has_more=True, limit=1), "a limit of 1 record was asked for, and HubSpot has more"),
        (Changes(has_more=True), "HubSpot has more records"),
        (Changes(start=501), "the export began at offset 501, not at the start"),
        (Changes(stored_pages=1), "1 page of 2 can no longer be found"),
    ],
)
def test_an_open_chain_is_not_complete_and_says_why(changes: Changes, reason: str) -> None:
    broken = receipt(**changes)

    assert (broken.complete, broken.incomplete_because, broken.offsets.closed) == (False, reason, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (Changes(totals=totals_of([1, 2], [2, 3]), distinct=3), "1 record came with an id that had come before"),
        (Changes(totals=totals_of([1, 1, 1])), "the ids came out of order and were not counted, so nothing shows"),
        (Changes(totals=totals_of([1, None, None, 4])), "2 records came without an id"),
        (Changes(records=130), "the account of ids covers 100 records, not 130"),
        (
            Changes(totals=ExportTotals().after_page([1, 2, 3], most=2, api="legacy"), limit=2),
            "HubSpot sent 1 record more than the limit, left off here",
        ),
    ],
)
def test_doubtful_records_make_a_closed_chain_incomplete(changes: Changes, reason: str) -> None:
    doubtful = receipt(**changes)

    assert (doubtful.complete, doubtful.offsets.closed) == (False, True)
    assert doubtful.incomplete_because is not None
    assert doubtful.incomplete_because.startswith(reason)


def test_duplicates_are_counted_exactly() -> None:
    doubled = receipt(totals=totals_of(IDS, IDS[40:]), distinct=100)

    assert (doubled.records, doubled.distinct_ids, doubled.duplicates) == (160, 100, 60)


def test_a_count_that_nobody_made_is_not_given() -> None:
    uncounted = receipt(totals=totals_of([1, 3, 2]))

    assert (uncounted.distinct_ids, uncounted.duplicates) == (None, None)


def test_every_reason_is_named() -> None:
    reason = receipt(start=7, has_more=True, limit=100, stored_pages=0, totals=totals_of([None, 3, 3]), distinct=1)

    assert reason.incomplete_because == (
        "the export began at offset 7, not at the start; a limit of 100 records was asked for, and HubSpot has more; "
        "2 pages of 2 can no longer be found; 1 record came without an id; "
        "1 record came with an id that had come before"
    )


def test_a_job_that_never_fetched_a_page_has_a_receipt_too() -> None:
    nothing = receipt(totals=ExportTotals(), outcome=Outcome.FAILED, pages=0, stored_pages=0, has_more=True, end=None)

    assert (nothing.complete, nothing.records, nothing.offsets.closed) == (False, 0, False)


# Stored and read back


def plain_parts(value: object) -> set[type]:
    if isinstance(value, dict):
        return {dict}.union(*(plain_parts(part) for pair in value.items() for part in pair))
    if isinstance(value, list | tuple):
        return {list}.union(*map(plain_parts, value))
    return {type(value)}


@pytest.mark.parametrize("stored", [ExportTotals(), totals_of([2**62, None]).after_retry(None), totals_of([1, 3, 2])])
def test_totals_come_back_from_mongodb_unchanged(stored: ExportTotals) -> None:
    assert plain_parts(asdict(stored)) <= {dict, list, str, int, type(None)}
    back = ExportTotals.from_stored(through_mongodb(asdict(stored)))

    assert back == stored
    assert back.after_page([2**62 + 1], api="dated") == stored.after_page([2**62 + 1], api="dated")


@pytest.mark.parametrize(
    "stored",
    [
        receipt(totals=ExportTotals().after_page([1], api="legacy", properties=["x"])),
        receipt(start="abc", has_more=True),
    ],
)
def test_a_receipt_comes_back_from_mongodb_as_it_went(stored: Receipt) -> None:
    assert plain_parts(asdict(stored)) <= {dict, list, str, int, bool, type(None)}

    assert Receipt.from_stored(through_mongodb(asdict(stored))) == stored


def test_totals_that_were_stored_before_a_field_existed_can_be_read() -> None:
    assert ExportTotals.from_stored({"records": 3, "some_later_field": 1}) == ExportTotals(records=3)


# What the reference says


def test_the_lines_in_the_reference_compute_the_checksum() -> None:
    page_runs = re.findall(r"```python\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    (lines,) = [block for block in page_runs if "sha256-sum" in block]
    records = "".join(json.dumps({"vid": number}) + "\n" for number in reversed(IDS))

    run = subprocess.run([sys.executable, "-c", lines], input=records, capture_output=True, text=True, check=True)

    assert run.stdout.strip() == receipt().checksum


def test_a_page_that_does_not_say_whether_there_is_more_proves_no_end() -> None:
    unsaid = receipt(totals=totals_of(IDS[:60]).after_page(IDS[60:], says_more=False, api="legacy"))
    assert (unsaid.complete, unsaid.incomplete_because) == (False, "1 page did not say whether there is more")


def test_two_lists_are_a_whole() -> None:
    assert receipt(is_of_two_lists=True).complete
