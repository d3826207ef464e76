"""The receipt in the body of a job: under the documented names, and null before the end."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from tests.unit.api_shim.shim import Json, Shim
from worker.jobs.receipt import Receipt
from worker.jobs.receipt_inputs import Outcome, ReceiptInputs
from worker.jobs.totals import ExportTotals

REFERENCE = Path(__file__).resolve().parents[4] / "docs" / "reference" / "exports.md"


def a_receipt() -> Receipt:
    totals = ExportTotals().after_call(429).after_retry(429).after_call(200)
    facts = ReceiptInputs(
        totals=totals.after_page([501, 3412996225], was_refetched=True, api="legacy", properties=["email"]),
        outcome=Outcome.CANCELLED,
        pages=1,
        records=2,
        start=None,
        end=3412996225,
        has_more=True,
        limit=None,
        stored_pages=1,
    )
    return Receipt.of(facts)


def shown(shim: Shim, receipt: Receipt | None) -> Json:
    """Return the body's receipt of a job that ended with this one."""
    job_id = shim.start("contacts")
    job = shim.worker.start(job_id)
    shim.jobs.release(replace(job.cancel(at=shim.clock()), receipt=receipt))
    data: Json = shim.get(f"/jobs/{job_id}").json()["data"]
    return {"receipt": data["receipt"]}


def test_the_receipt_is_shown_as_it_was_drawn_up(shim: Shim) -> None:
    receipt = a_receipt()

    assert shown(shim, receipt)["receipt"] == {
        "complete": False,
        "incomplete_because": "the export was cancelled before its end",
        "pages": 1,
        "records": 2,
        "distinct_ids": 2,
        "duplicates": 0,
        "first_id": 501,
        "last_id": 3412996225,
        "offsets": {"start": None, "end": 3412996225, "closed": False},
        "checksum": receipt.checksum,
        "refetched_pages": 1,
        "calls": {"429": 1, "200": 1},
        "retries": {"429": 1},
        "api": ["legacy"],
        "properties": ["email"],
        "mended": {},
        "erased": 0,
        "withheld_deletions": 0,
        "calls_by_kind": {"list": 1},
        "properties_missing": [],
        "associations_complete": True,
        "not_available": [],
        "left_out": {},
        "vanished": 0,
    }


def test_without_a_receipt_the_body_says_null(shim: Shim) -> None:
    assert shown(shim, None) == {"receipt": None}


def test_the_receipt_in_the_reference_has_every_field_there_is(shim: Shim) -> None:
    (example,) = re.findall(r'"receipt": \{(.*?)\}\n```', REFERENCE.read_text(encoding="utf-8"), re.DOTALL)

    receipt = shown(shim, a_receipt())["receipt"]
    names = {*receipt, *receipt["offsets"], *receipt["calls"], *receipt["retries"], *receipt["calls_by_kind"]}
    assert set(re.findall(r'"(\w+)":', example)) == names
