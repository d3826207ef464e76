"""Lists of several that were left out of an export: what its receipt says of them, and when they are asked again."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.worker.jobs.test_receipt import receipt, totals_of
from worker.jobs.receipt import Receipt
from worker.records.findings import NOT_ASKED, PageFindings

REFUSED = {"emails": "sales-email-read is missing"}


def test_a_refused_list_is_named_and_its_export_is_no_whole() -> None:
    found = receipt(totals=replace(totals_of([1, 2]), left_out=REFUSED))
    assert not found.complete
    assert found.incomplete_because == "HubSpot refused the list of emails: sales-email-read is missing"
    assert found.left_out == REFUSED


def test_a_list_that_the_operator_does_not_want_is_named_and_its_export_is_a_whole() -> None:
    found = receipt(totals=replace(totals_of([1, 2]), left_out={"calls": NOT_ASKED}))
    assert found.complete
    assert found.left_out == {"calls": NOT_ASKED}


def test_two_apis_of_which_one_gave_no_page_differ_all_the_same() -> None:
    assert receipt(is_of_two_lists=True).not_available == ("engagements of other types",)


def test_two_apis_of_which_one_gives_less_are_no_whole() -> None:
    lacking = replace(totals_of([1, 2]), left_out={"calls": NOT_ASKED})
    assert "without those of calls" in (receipt(totals=lacking, is_of_two_lists=True).incomplete_because or "")


def test_a_sync_names_what_any_of_its_exports_has_left_out() -> None:
    part = receipt(totals=replace(totals_of([1, 2]), left_out=REFUSED))
    assert Receipt.of_parts({"contacts": receipt(), "notes": part}).left_out == REFUSED


def test_after_a_retry_a_refused_list_is_asked_again_and_stays_named() -> None:
    totals = replace(totals_of([1, 2]), left_out={**REFUSED, "calls": NOT_ASKED})
    again = totals.before_retry()
    assert (totals.refused, again.refused) == (frozenset({"emails"}), frozenset())
    assert again.left_out == {"emails": "before a retry: sales-email-read is missing", "calls": NOT_ASKED}
    assert again.before_retry() == again


def test_a_list_that_is_refused_again_after_a_retry_is_not_asked_a_third_time() -> None:
    again = replace(totals_of([1, 2]), left_out=REFUSED).before_retry()
    refused = again.after_page([3], api="dated", findings=PageFindings(left_out=REFUSED))
    assert (refused.refused, dict(refused.left_out)) == (frozenset({"emails"}), REFUSED)
