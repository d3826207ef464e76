"""The Prefer header: who wants to wait how long, and what of it was done."""

from __future__ import annotations

import pytest

from api_shim.requests.preferences import Preferences, read_preferences
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Shim


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], Preferences()),
        ([""], Preferences()),
        (["respond-async"], Preferences(respond_async=True)),
        (["Respond-Async; foo=bar"], Preferences(respond_async=True)),
        (["wait=10"], Preferences(wait_s=10)),
        (['WAIT = "10"'], Preferences(wait_s=10)),
        (["wait=0"], Preferences(wait_s=0)),
        (["respond-async, wait=10"], Preferences(respond_async=True, wait_s=10)),
        (["respond-async", "wait=10"], Preferences(respond_async=True, wait_s=10)),
        (["wait=5, wait=10"], Preferences(wait_s=5)),
        (["return=minimal, handling=lenient, , ;"], Preferences()),
    ],
)
def test_preferences_are_read_as_the_rfc_writes_them(values: list[str], expected: Preferences) -> None:
    assert read_preferences(values) == expected


def test_respond_async_is_answered_at_once_with_a_job_that_brings_the_page(shim: Shim) -> None:
    answer = shim.get("/export/contacts?limit=7", prefer="respond-async")

    job_id = answer.json()["data"]["job_id"]
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["Location"] == f"{BASE_PATH}/jobs/{job_id}"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.json()["data"]["status"] == "queued"
    assert answer.json()["data"]["request"]["page_size"] == 7
    assert [job.job_id for job in shim.queue.published] == [job_id]


@pytest.mark.parametrize("prefer", ["wait=0", "wait=1", "respond-async, wait=1"])
def test_without_a_page_in_time_the_answer_is_the_job(shim: Shim, prefer: str) -> None:
    answer = shim.get("/export/contacts", prefer=prefer)

    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == prefer
    assert answer.headers["Location"] == answer.json()["data"]["links"]["self"]
    assert len(shim.jobs.all) == len(shim.queue.published) == 1


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=9", "wait=9"),
        ("wait=10", "wait=10"),
        ("respond-async, wait=9", "respond-async, wait=9"),
        ("wait=11", None),
        ("wait=999999999", None),
        ("return=minimal", None),
    ],
)
def test_a_page_in_time_is_answered_and_only_what_was_done_is_confirmed(
    shim: Shim, prefer: str, applied: str | None
) -> None:
    with shim.exporting(body_of("contacts", [1])):
        answer = shim.get("/export/contacts", prefer=prefer)

    assert answer.status_code == 200
    assert answer.headers.get("Preference-Applied") == applied


@pytest.mark.parametrize(
    ("prefer", "applied"), [("respond-async", None), ("respond-async, wait=0", "wait=0"), ("wait=0", "wait=0")]
)
def test_a_job_is_shown_at_once_anyway(shim: Shim, prefer: str, applied: str | None) -> None:
    answer = shim.get(f"/jobs/{shim.start('contacts')}", prefer=prefer)

    assert answer.status_code == 200
    assert answer.headers.get("Preference-Applied") == applied
