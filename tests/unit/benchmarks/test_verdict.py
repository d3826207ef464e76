"""What counts as wrong at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks.soak.database import StoredPage
from benchmarks.soak.verdict import Evidence, RecordCount, complaints_about_job, count_records

RECEIPT = {
    "complete": True,
    "records": 3,
    "distinct_ids": 3,
    # sha256 of "1", "2" and "3", added up modulo 2^256
    "checksum": "sha256-sum:8e0151338851ef5bde78df8269c580076000cef3ef721cf9fe643793cd4fa64e",
}


def job(**changes: object) -> dict[str, Any]:
    usual = {"status": "succeeded", "progress": {"pages": 2, "records": 3}, "receipt": RECEIPT, "error": None}
    return {**usual, **changes}


def evidence(
    *,
    found: Sequence[int] | None = (1, 2, 3),
    pages: Sequence[tuple[int, int]] = ((0, 1), (1, 2)),
    wants_all: bool = True,
    **changes: object,
) -> Evidence:
    return Evidence(
        name="contacts",
        job=job(**changes),
        expected=[1, 2, 3],
        found=found,
        pages=[StoredPage(number=number, epoch=epoch) for number, epoch in pages],
        epoch=2,
        wants_all=wants_all,
    )


def test_a_job_with_every_record_once_and_in_order_is_right() -> None:
    assert complaints_about_job(evidence()) == []


@pytest.mark.parametrize(
    ("receipt", "words"),
    [
        (None, "has no receipt"),
        ({**RECEIPT, "records": 4}, "describes other records"),
        ({**RECEIPT, "distinct_ids": 2}, "describes other records"),
        ({**RECEIPT, "checksum": "sha256-sum:00"}, "describes other records"),
    ],
)
def test_a_receipt_that_does_not_prove_these_records_is_named(receipt: object, words: str) -> None:
    (complaint,) = complaints_about_job(evidence(receipt=receipt))

    assert words in complaint


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((1, 2), "1 missing, 0 duplicated, 0 of another account"),
        ((1, 2, 2, 3), "0 missing, 1 duplicated, 0 of another account"),
        ((1, 2, 2), "1 missing, 1 duplicated, 0 of another account"),
        ((1, 2, 3, 4), "0 missing, 0 duplicated, 1 of another account"),
        ((1, 2, 4), "1 missing, 0 duplicated, 1 of another account"),
        ((1, 3, 2), "not in HubSpot's order"),
        ((), "3 missing"),
    ],
)
def test_records_that_are_not_hubspots_are_named(found: Sequence[int], words: str) -> None:
    (complaint,) = complaints_about_job(evidence(found=found))

    assert complaint.startswith("contacts: ")
    assert words in complaint


def test_a_count_that_is_not_the_number_of_records_is_named() -> None:
    (complaint,) = complaints_about_job(evidence(progress={"pages": 2, "records": 4}))

    assert "counts 4 records where HubSpot holds 3" in complaint


@pytest.mark.parametrize("pages", [((0, 1),), ((0, 1), (0, 1)), ((0, 1), (0, 1), (1, 1)), ((0, 1), (1, 1), (2, 1))])
def test_pages_that_are_missing_doubled_or_too_many_are_named(pages: Sequence[tuple[int, int]]) -> None:
    (complaint,) = complaints_about_job(evidence(pages=pages))

    assert "counts 2 pages" in complaint


def test_a_page_of_a_later_epoch_than_its_job_is_named() -> None:
    (complaint,) = complaints_about_job(evidence(pages=((0, 1), (1, 3))))

    assert "pages [1] have a later epoch than the job, which has 2" in complaint


def test_a_receipt_that_is_not_complete_is_named() -> None:
    (complaint,) = complaints_about_job(evidence(receipt={"complete": False, "missing": [1]}))

    assert "receipt is not complete" in complaint


def test_the_receipt_of_a_job_that_was_limited_need_not_be_complete() -> None:
    assert complaints_about_job(evidence(receipt={"complete": False}, wants_all=False)) == []


def test_a_job_that_failed_is_named_with_its_reason_alone() -> None:
    error = {"code": "hubspot_error", "message": "Bad Gateway"}

    assert complaints_about_job(evidence(found=None, status="failed", error=error)) == [
        "contacts: has failed: hubspot_error: Bad Gateway"
    ]


def test_records_are_counted_by_what_is_there_what_is_not_and_what_is_twice() -> None:
    counted = count_records(evidence(found=(1, 2, 2))) + count_records(evidence()) + count_records(evidence(found=None))

    assert counted == RecordCount(expected=9, stored=6, missing=4, doubled=1)
