"""Every request has an id and one line in the log, and neither repeats what a caller should not have put there."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest
from structlog.typing import EventDict

from tests.unit.api_shim.conftest import serving
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.responses.test_errors import FaultyJobStore
from tests.unit.api_shim.shim import BASE_PATH, Parts, Shim, mint

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def lines(logs: list[EventDict], event: str) -> list[EventDict]:
    return [line for line in logs if line["event"] == event]


def told(logs: list[EventDict]) -> dict[str, object]:
    """Return what the one line of the last request says, but for what is different every time."""
    line = lines(logs, "request_answered")[-1]
    assert 0 <= line["seconds"] < 10
    return {name: value for name, value in line.items() if name not in {"event", "seconds", "request_id"}}


# The id


def test_the_clients_id_is_answered_and_bound_to_every_line(parts: Parts, logs: list[EventDict]) -> None:
    faulty = replace(parts, jobs=FaultyJobStore(parts.clock))
    with serving(faulty) as shim:
        answer = shim.get(f"/jobs/{UNKNOWN}", **{"x-request-id": "order-66/a.b:c"})

    assert (answer.status_code, answer.headers["X-Request-Id"]) == (500, "order-66/a.b:c")
    assert [line["event"] for line in logs if line["request_id"] == "order-66/a.b:c"] == [
        "unexpected_error",
        "request_answered",
    ]


@pytest.mark.parametrize("given", ["", " ", "a b", "x" * 129, "é", '"}{"', "-", "a;b"])
def test_an_id_that_no_log_should_hold_is_replaced(shim: Shim, given: str) -> None:
    answered = shim.ask("GET", "/healthz", headers={"x-request-id": given}).headers["X-Request-Id"]

    assert re.fullmatch(r"[0-9a-f]{32}", answered)


def test_every_request_gets_an_id_of_its_own(shim: Shim) -> None:
    assert len({shim.ask("GET", path).headers["X-Request-Id"] for path in ("/healthz", "/healthz", "/nowhere")}) == 3


def test_the_job_remembers_the_request_that_it_came_from(shim: Shim) -> None:
    shim.get("/export/contacts", prefer="respond-async", **{"x-request-id": "r1"})

    (job,) = shim.jobs.all
    assert (job.origin.request_id, job.origin.traceparent) == ("r1", None)


# The line


def test_an_export_leaves_one_line_that_names_account_and_job(shim: Shim, logs: list[EventDict]) -> None:
    job_id = shim.start("contacts")

    assert told(logs) == {
        "log_level": "info",
        "method": "POST",
        "route": f"{BASE_PATH}/export/{{type}}",
        "status": 202,
        "account_id": "a1",
        "job_id": job_id,
    }


def test_a_request_for_a_job_names_it(shim: Shim, logs: list[EventDict]) -> None:
    job_id = shim.start("contacts")
    shim.get(f"/jobs/{job_id}/results")

    assert (told(logs)["route"], told(logs)["job_id"]) == (f"{BASE_PATH}/jobs/{{job_id}}/results", job_id)


def test_a_page_that_someone_waited_for_names_its_job(shim: Shim, logs: list[EventDict]) -> None:
    with shim.exporting(body_of("contacts", [1])):
        shim.get("/export/contacts")

    (job,) = shim.jobs.all
    assert (told(logs)["status"], told(logs)["job_id"]) == (200, job.job_id)


def test_a_request_that_is_repeated_under_a_key_names_the_job_that_there_is(shim: Shim, logs: list[EventDict]) -> None:
    for _ in range(2):
        shim.ask("POST", f"{BASE_PATH}/export/contacts", headers={"idempotency-key": "k1"})

    (job,) = shim.jobs.all
    assert [line["job_id"] for line in lines(logs, "request_answered")] == [job.job_id, job.job_id]


def test_a_job_that_was_not_accepted_is_not_named(shim: Shim, logs: list[EventDict]) -> None:
    shim.tokens.clear()
    shim.post("/export/contacts")

    assert (told(logs)["status"], "job_id" in told(logs)) == (404, False)


def test_who_is_not_let_in_is_named_by_nothing(shim: Shim, logs: list[EventDict]) -> None:
    shim.get(f"/jobs/{UNKNOWN}", authorization="Bearer forged")

    assert (told(logs)["status"], "account_id" in told(logs)) == (401, False)


@pytest.mark.parametrize(
    "path", [f"{BASE_PATH}/jobs/eyJhbGciOi.secret.token", f"{BASE_PATH}/export/secret?x=secret", "/secret?token=secret"]
)
def test_no_line_repeats_a_path_or_a_query(shim: Shim, logs: list[EventDict], path: str) -> None:
    shim.ask("GET", path)

    assert "secret" not in str(logs)


def test_what_is_not_there_has_one_name(shim: Shim, logs: list[EventDict]) -> None:
    shim.ask("GET", "/a/b/c")

    assert (told(logs)["route"], told(logs)["status"]) == ("unknown", 404)


def test_probes_do_not_fill_the_log(shim: Shim, logs: list[EventDict]) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert shim.ask("GET", path).status_code == 200

    assert {line["log_level"] for line in lines(logs, "request_answered")} == {"debug"}


def test_nothing_of_one_request_stands_in_the_lines_of_the_next_on_its_connection(
    shim: Shim, logs: list[EventDict]
) -> None:
    """A pipelined request is begun where the one before it has ended: in the same context."""

    async def pipelined() -> None:
        for path in (f"{BASE_PATH}/export/contacts", "/nowhere"):
            headers = {"authorization": f"Bearer {mint()}"}
            transport = httpx.ASGITransport(shim.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shim", headers=headers) as client:
                await client.post(path)

    shim.portal.call(pipelined)

    first, second = lines(logs, "request_answered")
    assert first.keys() >= {"account_id", "job_id"}
    assert second.keys().isdisjoint({"account_id", "job_id"})
