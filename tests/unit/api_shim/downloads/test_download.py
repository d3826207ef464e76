"""`GET /jobs/{id}/download`: all records of a finished job as HubSpot sent them, or an error that says why not."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx
import pytest

from tests.unit.api_shim.hubspot_pages import body_of, id_of
from tests.unit.api_shim.routes.test_results import TYPES, exported, ids_in, loop
from tests.unit.api_shim.shim import Shim, mint, problem
from worker.errors import FatalHubSpotError
from worker.jobs.request import SyncRequest
from worker.jobs.status import JobStatus
from worker.jobs.sync import new_sync
from worker.records.types import DOCUMENTED_TYPES

UNKNOWN = "00000000-0000-4000-8000-000000000000"
NOT_FOUND = b'{"success":false,"errno":404,"message":"RESOURCE_NOT_FOUND","code":"job_not_found"}'


def download(shim: Shim, job_id: str, query: str = "", **headers: str) -> httpx.Response:
    answer = shim.get(f"/jobs/{job_id}/download{query}", **headers)
    assert answer.status_code == 200, answer.text
    return answer


def exported_as(shim: Shim, *records: bytes, between: bytes = b",") -> str:
    job_id = shim.start("contacts")
    shim.worker.export(job_id, b'{"contacts":[%b],"has-more":false,"vid-offset":0}' % between.join(records))
    return job_id


@pytest.mark.parametrize("export_type", TYPES)
def test_a_download_holds_what_the_results_hold(shim: Shim, export_type: str) -> None:
    job_id = exported(shim, export_type, 4, 0, 1, 20)

    lines = download(shim, job_id).content.splitlines(keepends=True)

    assert [id_of(export_type, json.loads(line)) for line in lines] == ids_in(export_type, loop(shim, job_id))
    assert all(line.endswith(b"\n") for line in lines)


def test_records_are_hubspots_bytes(shim: Shim) -> None:
    records = [
        rb'{"vid" : 1, "whole":"\ud83d\ude00", "no":"\\ud83d"}',
        b'{"vid":123456789012345678901234567890,"a":1,"a":1.10,"e":1e400}',
        b'{"text":"line\\r\\nbreak","other":"\xe2\x80\xa8\x7f"}',
        b"null",
    ]

    assert download(shim, exported_as(shim, *records, between=b" ,\t")).content == b"\n".join(records) + b"\n"


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_records_that_are_no_json_can_be_downloaded(shim: Shim, query: str) -> None:
    records = [rb'{"vid":1,"a":"\ud83d"}', b'{"vid":2,"a":NaN}', b'{"vid":3,"a":"x\ny"}', b'{"vid":4,"a":"\xff"}']
    job_id = exported_as(shim, *records, between=b",")

    lines = shim.get(f"/jobs/{job_id}/download{query}").content.decode()

    if query:
        assert lines.splitlines() == ["vid,a", "1,\ufffd", "2,", '3,"x', 'y"', "4,\ufffd"]
    else:
        values = [json.loads(line, parse_constant=pytest.fail)["a"] for line in lines.splitlines()]
        assert values == ["\ufffd", None, "x\ny", "\ufffd"]


def test_a_record_stays_on_one_line(shim: Shim) -> None:
    job_id = exported_as(shim, b'{\r\n  "vid": 1,\n  "text": "a\\nb"\n}', b'{"vid":2}', between=b"\n,\n")

    assert download(shim, job_id).content == b'{  "vid": 1,  "text": "a\\nb"}\n{"vid":2}\n'


def test_a_file_says_what_it_is(shim: Shim) -> None:
    job_id = exported(shim, "contacts", 1)

    headers = download(shim, job_id, **{"accept-encoding": "identity"}).headers

    assert headers["content-type"] == "application/x-ndjson"
    assert headers["content-disposition"] == f'attachment; filename="contacts-{job_id}.ndjson"'
    assert headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in headers


def test_a_table_says_what_it_is(shim: Shim) -> None:
    job_id = exported(shim, "deals", 1)

    headers = download(shim, job_id, "?format=csv").headers

    assert headers["content-type"] == "text/csv; charset=utf-8"
    assert headers["content-disposition"] == f'attachment; filename="deals-{job_id}.csv"'


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_a_client_that_takes_gzip_is_given_the_same_file_in_gzip(shim: Shim, query: str) -> None:
    job_id = exported(shim, "companies", 250, 250)
    plain = download(shim, job_id, query)

    packed = download(shim, job_id, query, **{"accept-encoding": "br, gzip;q=0.8"})

    assert packed.content == plain.content
    assert packed.headers["content-encoding"] == "gzip"
    assert (packed.headers["vary"], packed.headers["etag"]) == ("Accept-Encoding", plain.headers["etag"])
    assert packed.num_bytes_downloaded < len(plain.content) / 2
    assert packed.headers["content-type"] == plain.headers["content-type"]


def test_an_empty_export_is_an_empty_file(shim: Shim) -> None:
    job_id = exported(shim, "notes", 0)

    assert download(shim, job_id).content == b""
    assert download(shim, job_id, "?format=csv").content == b"engagement.id\r\n"


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_a_limit_may_cut_a_page_short(shim: Shim, query: str) -> None:
    job_id = shim.start("contacts", {"limit": 5, "page_size": 3})
    shim.worker.export(job_id, body_of("contacts", range(3), offset=3), body_of("contacts", range(3, 6), offset=6))

    lines = download(shim, job_id, query).text.splitlines()

    assert len(lines) - lines.count("vid") == 5


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_of_a_job_that_failed_comes_what_was_noted_and_no_more(shim: Shim, query: str) -> None:
    job_id = shim.start("contacts")
    job = shim.worker.export(job_id, body_of("contacts", range(3), offset=3))
    shim.worker.store_only(job, body_of("contacts", range(3, 9), offset=9))
    shim.worker.fail(job, FatalHubSpotError("No", status=403))

    lines = download(shim, job_id, query).text.splitlines()

    assert len(lines) - lines.count("vid") == 3


def test_a_cancelled_job_can_be_downloaded(shim: Shim) -> None:
    job_id = shim.start("contacts")
    shim.worker.requeue(shim.worker.export(job_id, body_of("contacts", range(3), offset=3)))
    shim.post(f"/jobs/{job_id}/cancel")

    assert len(download(shim, job_id).content.splitlines()) == 3


@pytest.mark.parametrize("state", ["queued", "running"])
def test_a_job_that_is_not_finished_is_a_conflict_that_names_its_state(shim: Shim, state: str) -> None:
    job_id = shim.start("contacts")
    if state == "running":
        shim.worker.export(job_id, body_of("contacts", range(3), offset=3))

    status, body = problem(shim.get(f"/jobs/{job_id}/download"))

    assert (status, body["code"]) == (409, "conflict")
    assert body["message"] == f"The job is {state}: its contacts can be downloaded when it has ended"


@pytest.mark.parametrize("status", [JobStatus.QUEUED, JobStatus.SUCCEEDED])
def test_a_sync_has_nothing_to_download(shim: Shim, status: JobStatus) -> None:
    now = shim.clock()
    asked = SyncRequest(types=tuple(DOCUMENTED_TYPES))
    sync = new_sync("sync", account_id="a1", owner="u1", request=asked, at=now)
    shim.jobs.add(replace(sync, status=status, finished_at=now if status.is_terminal else None))

    status_code, body = problem(shim.get("/jobs/sync/download"))

    assert (status_code, body["code"]) == (409, "conflict")
    assert body["message"] == "A sync has no records of its own: read its children"


def test_unknown_and_anothers_jobs_are_not_there(shim: Shim) -> None:
    job_id = exported(shim, "contacts", 1)
    stranger = f"Bearer {mint({'account_id': 'a2'})}"

    for answer in (
        shim.get(f"/jobs/{UNKNOWN}/download"),
        shim.get(f"/jobs/{job_id}/download", authorization=stranger),
    ):
        assert (answer.status_code, answer.content) == (404, NOT_FOUND)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("format=xlsx", "format"),
        ("format=", "format"),
        ("format=csv&format=csv", "format"),
        ("format=csv&bom=perhaps", "bom"),
        ("bom=true", "bom"),
        ("format=csv&bom=true&bom=true", "bom"),
    ],
)
def test_a_wrong_query_names_the_field(shim: Shim, query: str, field: str) -> None:
    job_id = exported(shim, "contacts", 1)

    status, body = problem(shim.get(f"/jobs/{job_id}/download?{query}"))

    assert (status, body["code"]) == (400, "invalid_request")
    assert body["message"].startswith(f"{field}: ")


def test_nobody_learns_of_a_wrong_query_without_a_jwt(shim: Shim) -> None:
    assert shim.get("/jobs/x/download?format=xlsx", authorization="").status_code == 401


def test_the_tag_stays_until_the_job_is_retried(shim: Shim) -> None:
    job_id = shim.start("contacts")
    job = shim.worker.export(job_id, body_of("contacts", range(3), offset=3))
    shim.worker.fail(job, FatalHubSpotError("No", status=403))
    tags = [download(shim, job_id).headers["etag"] for _ in range(2)]
    shim.post(f"/jobs/{job_id}/retry")
    shim.clock.advance(60)
    shim.worker.export(job_id, body_of("contacts", [3]))

    tags.append(download(shim, job_id).headers["etag"])

    assert tags[0] == tags[1] != tags[2]
    assert tags[0] != download(shim, job_id, "?format=csv").headers["etag"]


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_what_is_missing_at_the_start_is_told_as_an_error(shim: Shim, query: str) -> None:
    job_id = exported(shim, "contacts", 2, 2)
    shim.pages.lose(job_id, 1)

    answer = shim.get(f"/jobs/{job_id}/download{query}")

    assert (answer.status_code, answer.content) == (404, NOT_FOUND)


def test_more_columns_than_a_table_can_have_are_a_wrong_request(shim: Shim) -> None:
    job_id = exported_as(shim, json.dumps({str(number): 1 for number in range(16_385)}).encode())

    status, body = problem(shim.get(f"/jobs/{job_id}/download?format=csv"))

    assert (status, body["code"]) == (400, "invalid_request")
    assert body["message"] == "format: csv would need more than 16,384 columns, ndjson needs none"


@pytest.mark.parametrize("query", ["", "?format=csv"])
def test_a_database_that_is_away_at_the_start_is_told_as_an_error(shim: Shim, query: str) -> None:
    job_id = exported(shim, "contacts", 2)
    shim.pages.is_away = True

    status, body = problem(shim.get(f"/jobs/{job_id}/download{query}"))

    assert (status, body["code"]) == (503, "unavailable")


def test_the_page_of_a_waiting_caller_can_be_downloaded_too(shim: Shim) -> None:
    job_id = shim.get("/export/deals?limit=2", prefer="respond-async").json()["data"]["job_id"]
    shim.worker.export(job_id, body_of("deals", [8, 9], offset=9))

    assert [json.loads(line) for line in download(shim, job_id).content.splitlines()] == [{"dealId": 8}, {"dealId": 9}]
