"""A cap of stored bytes an account: warnings in answers, then 429 `storage_full`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.contract.stores import new_job
from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.shim import BASE_PATH, Shim
from worker.jobs.status import JobStatus
from worker.jobs.totals import ExportTotals

MOST = 1000


@pytest.fixture
def capped(running: Running) -> Iterator[Shim]:
    with running(max_stored_bytes_per_account=MOST) as shim:
        yield shim


def store(shim: Shim, size: int) -> str:
    job = replace(new_job(), status=JobStatus.SUCCEEDED, totals=ExportTotals(bytes=size))
    shim.jobs.add(job)
    return job.job_id


def test_an_answer_has_no_warnings_while_there_is_room(capped: Shim) -> None:
    store(capped, 700)

    assert capped.post("/export/contacts").json().keys() == {"success", "message", "data"}


@pytest.mark.parametrize("path", ["/export/contacts", "/sync"])
def test_an_accepted_job_comes_with_a_warning_when_there_is_little_left(capped: Shim, path: str) -> None:
    store(capped, 900)

    answer = capped.post(path)

    assert answer.status_code == 202
    (warning,) = answer.json()["warnings"]
    assert "900 of 1000 bytes" in warning


@pytest.mark.parametrize(("method", "path"), [("POST", "/export/deals"), ("POST", "/sync"), ("GET", "/export/notes")])
def test_when_it_is_full_a_new_job_is_refused_with_nothing_stored(capped: Shim, method: str, path: str) -> None:
    job_id = store(capped, MOST)

    answer = capped.ask(method, f"{BASE_PATH}{path}")

    assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "storage_full", "3600")
    assert [job.job_id for job in capped.jobs.all] == [job_id]


def test_what_is_stored_stays_readable_and_can_be_deleted(capped: Shim) -> None:
    job_id = store(capped, MOST)
    capped.post("/export/contacts")

    assert capped.get(f"/jobs/{job_id}").status_code == 200
    assert capped.delete(f"/jobs/{job_id}").status_code == 204
    capped.clock.advance(61)
    assert capped.post("/export/contacts").status_code == 202


def test_a_retry_is_not_refused(capped: Shim) -> None:
    job_id = capped.start("contacts")
    capped.post(f"/jobs/{job_id}/cancel")
    store(capped, MOST)

    assert capped.post(f"/jobs/{job_id}/retry").status_code == 202


def test_warnings_are_counted(capped: Shim) -> None:
    store(capped, 900)
    capped.post("/export/contacts")

    counted = capped.registry.get_sample_value("hubspot_export_storage_warnings_total", {"outcome": "nearly_full"})
    assert counted == 1
