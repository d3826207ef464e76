"""`GET /jobs/{id}/results`: every record once, in the documented body, also while the job runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.api_shim.hubspot_pages import body_of, id_of
from tests.unit.api_shim.shim import Json, Parts, Shim, problem
from worker.errors import FatalHubSpotError
from worker.jobs.job import Progress
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

TYPES = ("contacts", "companies", "deals", "notes")
KEYS = {
    "contacts": ("contacts", "has-more", "vid-offset"),
    "companies": ("companies", "has-more", "offset"),
    "deals": ("deals", "hasMore", "offset"),
    "notes": ("results", "hasMore", "offset"),
}


def exported(shim: Shim, export_type: str, *sizes: int) -> str:
    """Export pages of these sizes, numbered through; the last one is the last."""
    job_id = shim.start(export_type)
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    shim.worker.export(
        job_id,
        *(
            body_of(export_type, range(start, start + size), offset=None if place == len(sizes) else place * 1000)
            for place, (start, size) in enumerate(zip(starts, sizes, strict=True), start=1)
        ),
    )
    return job_id


def loop(shim: Shim, job_id: str, *, limit: int | None = None) -> list[Json]:
    """Do the documented loop: `offset = pagination.offset while pagination.hasMore`."""
    bodies: list[Json] = []
    query = f"limit={limit}" if limit else ""
    while not bodies or bodies[-1]["pagination"]["hasMore"]:
        offset = bodies[-1]["pagination"]["offset"] if bodies else ""
        answer = shim.get(f"/jobs/{job_id}/results?{query}&offset={offset}")
        assert answer.status_code == 200
        bodies.append(answer.json())
    return bodies


def ids_in(export_type: str, bodies: list[Json]) -> list[object]:
    key = OBJECT_TYPES[ExportType(export_type)].page.list_key
    return [id_of(export_type, record) for body in bodies for record in body["data"][key]]


@pytest.mark.parametrize(
    ("export_type", "limit"),
    [
        ("contacts", 1),
        ("contacts", 25),
        ("companies", 3),
        ("companies", 4),
        ("deals", 7),
        ("notes", 4),
        ("notes", 1000),
    ],
)
def test_the_documented_loop_reads_every_record_once(shim: Shim, export_type: str, limit: int) -> None:
    job_id = exported(shim, export_type, 4, 0, 1, 20)

    bodies = loop(shim, job_id, limit=limit)

    assert ids_in(export_type, bodies) == list(range(25))
    assert len(bodies) == -(-25 // limit)


@pytest.mark.parametrize("export_type", TYPES)
def test_results_have_the_keys_of_hubspots_body_and_no_others(shim: Shim, export_type: str) -> None:
    list_key, more_key, offset_key = KEYS[export_type]
    job_id = exported(shim, export_type, 2, 1)

    first, last = loop(shim, job_id, limit=2)

    assert list(first) == ["success", "message", "data", "pagination"]
    assert list(first["data"]) == [list_key, more_key, offset_key]
    assert (first["success"], first["message"]) == (True, "DATA Recieved")
    assert (first["data"][more_key], first["pagination"]["hasMore"]) == (True, True)
    assert first["data"][offset_key] == first["pagination"]["offset"]
    assert (last["data"][more_key], last["pagination"]["hasMore"]) == (False, None)


def test_ten_records_are_given_unless_a_limit_is(shim: Shim) -> None:
    job_id = exported(shim, "contacts", 25)

    assert [len(body["data"]["contacts"]) for body in loop(shim, job_id)] == [10, 10, 5]


def test_records_are_hubspots_bytes(shim: Shim) -> None:
    records = [
        rb'{"vid" : 1, "e":"\ud83d\ude00"}',
        b'{"vid":123456789012345678901234567890}',
        b'{"a":1,"a":1.10}',
        b"null",
    ]
    job_id = shim.start("contacts")
    shim.worker.export(job_id, b'{"contacts": [ ' + b" ,\n".join(records) + b' ],"has-more":false,"vid-offset":0}')

    answer = shim.get(f"/jobs/{job_id}/results")

    assert answer.content == (
        b'{"success":true,"message":"DATA Recieved","data":{"contacts":['
        + b",".join(records)
        + b'],"has-more":false,"vid-offset":4},"pagination":{"hasMore":null,"offset":4}}'
    )


def test_nothing_exported_yet_is_an_empty_page_with_more_to_come(shim: Shim) -> None:
    job_id = shim.start("contacts")
    expected = {"contacts": [], "has-more": True, "vid-offset": 0}
    for _ in range(2):
        answer = shim.get(f"/jobs/{job_id}/results").json()
        assert (answer["data"], answer["pagination"]) == (expected, {"hasMore": True, "offset": 0})
        if shim.jobs.all[0].started_at is None:
            shim.worker.start(job_id)


def test_a_reader_may_keep_up_with_a_running_job(shim: Shim) -> None:
    job_id = shim.start("contacts")
    job = shim.worker.store(shim.worker.start(job_id), body_of("contacts", range(3), offset=3))
    first = shim.get(f"/jobs/{job_id}/results?limit=10").json()
    offset = first["pagination"]["offset"]
    idle = shim.get(f"/jobs/{job_id}/results?limit=10&offset={offset}").json()
    shim.worker.store(job, body_of("contacts", range(3, 5)))
    last = shim.get(f"/jobs/{job_id}/results?limit=10&offset={idle['pagination']['offset']}").json()

    assert ids_in("contacts", [first, idle, last]) == list(range(5))
    assert ids_in("contacts", [idle]) == []
    assert [body["pagination"]["hasMore"] for body in (first, idle, last)] == [True, True, None]


def test_a_page_that_is_stored_but_not_checkpointed_is_not_given(shim: Shim) -> None:
    job_id = shim.start("contacts")
    shim.worker.store_only(shim.worker.start(job_id), body_of("contacts", range(3), offset=3))

    answer = shim.get(f"/jobs/{job_id}/results").json()

    assert (answer["data"]["contacts"], answer["pagination"]["hasMore"]) == ([], True)


def test_the_results_of_a_failed_job_come_to_an_end(shim: Shim) -> None:
    job_id = shim.start("contacts")
    job = shim.worker.store(shim.worker.start(job_id), body_of("contacts", range(3), offset=3))
    shim.worker.fail(job, FatalHubSpotError("No", status=403))

    bodies = loop(shim, job_id, limit=2)

    assert ids_in("contacts", bodies) == [0, 1, 2]


def test_an_empty_export_has_empty_results(shim: Shim) -> None:
    job_id = exported(shim, "notes", 0)

    answer = shim.get(f"/jobs/{job_id}/results").json()

    assert answer["data"] == {"results": [], "hasMore": False, "offset": 0}
    assert answer["pagination"] == {"hasMore": None, "offset": None}


@pytest.mark.parametrize("offset", [3, 4, 9223372036854775807])
def test_behind_the_last_record_there_is_nothing(shim: Shim, offset: int) -> None:
    job_id = exported(shim, "contacts", 3)

    answer = shim.get(f"/jobs/{job_id}/results?offset={offset}").json()

    assert (answer["data"]["contacts"], answer["pagination"]["hasMore"]) == ([], None)


def test_the_page_of_a_waiting_caller_can_be_read_as_results_too(shim: Shim) -> None:
    answer = shim.get("/export/deals?limit=2", prefer="respond-async")
    job_id = answer.json()["data"]["job_id"]
    shim.worker.export(job_id, body_of("deals", [8, 9], offset=9))

    assert ids_in("deals", loop(shim, job_id)) == [8, 9]


@pytest.mark.parametrize("late_from", [0, 2, 4])
def test_a_page_that_a_worker_stored_too_late_is_not_shown(shim: Shim, late_from: int) -> None:
    job_id = shim.start("contacts")
    late = replace(shim.worker.start(job_id), progress=Progress(pages=2, records=late_from))
    job = shim.worker.store(replace(late, progress=Progress()), body_of("contacts", range(3), offset=1000))
    shim.worker.store(job, body_of("contacts", range(3, 6), offset=None))

    shim.worker.store_only(late, body_of("contacts", range(late_from, late_from + 3), offset=2000))

    assert ids_in("contacts", loop(shim, job_id, limit=2)) == list(range(6))
    lines = shim.get(f"/jobs/{job_id}/download").text.splitlines()
    assert len(lines) == 6


@pytest.mark.parametrize("path", ["results?limit=100", "download", "download?format=csv"])
def test_a_page_that_cannot_be_read_is_named_and_never_passed_over(shim: Shim, parts: Parts, path: str) -> None:
    job_id = shim.start("contacts")
    shim.worker.export(job_id, body_of("contacts", [1, 2], offset=2), body_of("contacts", [3]))
    parts.pages.spoil(job_id, 0)

    status, body = problem(shim.get(f"/jobs/{job_id}/{path}"))

    assert (status, body["code"]) == (500, "internal")
    assert body["message"] == f"Page 0 of job {job_id} cannot be read: what is stored of it is damaged"
    assert len(shim.get(f"/jobs/{job_id}/results?offset=2").json()["data"]["contacts"]) == 1
