"""Downloads through the real HTTP server: an incomplete file never looks complete, and slow readers cause no reads."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from random import Random

import pytest
import uvicorn

from tests.patience import PATIENCE_S
from tests.unit.api_shim.conftest import event_loop_thread, new_parts, serving
from tests.unit.api_shim.shim import BASE_PATH, Shim, mint
from worker.errors import FatalHubSpotError
from worker.records.page import read_page
from worker.records.types import CONTACTS

PAGES, RECORDS = 500, 10
NOISE = [Random(number).randbytes(2000).hex() for number in range(RECORDS)]  # noqa: S311 - noise, not a secret
A_PAGE = json.dumps({"contacts": [{"noise": noise} for noise in NOISE], "has-more": True, "vid-offset": 1}).encode()
INCOMPLETE = http.client.IncompleteRead

__all__ = ["event_loop_thread"]  # a fixture of the whole session, which is found by its name here


@pytest.fixture
def shim() -> Iterator[Shim]:
    with serving(new_parts()) as shim:
        yield shim


@pytest.fixture
def address(shim: Shim) -> Iterator[tuple[str, int]]:
    """Serve the shim on a free port."""
    server = uvicorn.Server(uvicorn.Config(shim.app, port=0, lifespan="off", log_config=None))
    running = shim.portal.start_task_soon(server.serve)
    while not server.started:
        shim.portal.call(asyncio.sleep, 0.01)
    yield server.servers[0].sockets[0].getsockname()
    server.should_exit = True
    running.result(PATIENCE_S)


@pytest.fixture
def job_id(shim: Shim) -> str:
    """Store a failed export of 20 MB, at least 10 of them compressed: more than sockets buffer."""
    job_id = shim.start("contacts")
    job, page = shim.worker.start(job_id), read_page(CONTACTS, A_PAGE)
    for _ in range(PAGES):
        shim.pages.add(job, page)
        job = replace(job, progress=job.progress.after(page))
    shim.worker.fail(job, FatalHubSpotError("No", status=403))
    return job_id


@contextmanager
def downloading(address: tuple[str, int], job_id: str, **headers: str) -> Iterator[http.client.HTTPResponse]:
    with closing(http.client.HTTPConnection(*address, timeout=PATIENCE_S)) as connection:
        authorised = {"Authorization": f"Bearer {mint()}", **headers}
        connection.request("GET", f"{BASE_PATH}/jobs/{job_id}/download", headers=authorised)
        answer = connection.getresponse()
        assert answer.status == http.client.OK
        yield answer


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_a_page_that_is_missing_half_way_cuts_the_connection(
    shim: Shim, address: tuple[str, int], job_id: str, coding: str
) -> None:
    shim.pages.lose(job_id, PAGES - 100)

    with downloading(address, job_id, **{"Accept-Encoding": coding}) as answer, pytest.raises(INCOMPLETE):
        answer.read()


def test_a_database_that_goes_away_half_way_cuts_the_connection(
    shim: Shim, address: tuple[str, int], job_id: str
) -> None:
    with downloading(address, job_id) as answer:
        answer.read(1)
        shim.pages.is_away = True
        with pytest.raises(INCOMPLETE):
            answer.read()


def test_a_whole_file_ends_as_one(address: tuple[str, int], job_id: str) -> None:
    with downloading(address, job_id) as answer:
        assert answer.read().count(b"\n") == RECORDS * PAGES


def test_a_client_that_reads_no_further_is_read_no_further_for(
    shim: Shim, address: tuple[str, int], job_id: str
) -> None:
    with downloading(address, job_id) as answer:
        answer.read(1)
        reads = until_still(shim)
        assert 0 < reads < PAGES / 8 / 2
        shim.pages.reads = 0

    assert until_still(shim) <= 1


def test_head_of_a_large_file_reads_next_to_nothing_and_leaves_the_connection_usable(
    shim: Shim, address: tuple[str, int], job_id: str
) -> None:
    with closing(http.client.HTTPConnection(*address, timeout=PATIENCE_S)) as connection:
        for path in (f"/jobs/{job_id}/download", f"/jobs/{job_id}"):
            connection.request("HEAD", f"{BASE_PATH}{path}", headers={"Authorization": f"Bearer {mint()}"})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (http.client.OK, b"")
    assert shim.pages.reads < PAGES / 10


def until_still(shim: Shim) -> int:
    """Return how often the store was read, once it has not been for a moment."""
    reads = -1
    while reads != shim.pages.reads:
        reads = shim.pages.reads
        shim.portal.call(asyncio.sleep, 0.2)
    return reads
