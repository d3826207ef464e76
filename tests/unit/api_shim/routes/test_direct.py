"""DirectRoutes: a request is answered as FastAPI answers it, byte for byte, whatever is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

import httpx
import pytest
from structlog.typing import EventDict

from api_shim.operations.request_log import RequestLog
from tests.unit.api_shim.conftest import new_parts, serving
from tests.unit.api_shim.shim import BASE_PATH, Parts, Shim, mint
from worker.jobs.job import Job

OURS = {"location", "retry-after", "content-type", "content-length", "www-authenticate", "preference-applied"}
_ID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# With `claims` in place of a JWT that has these claims.
REQUESTS: Mapping[str, tuple[str, str, dict[str, str], bytes | None]] = {
    "an export": ("POST", "/export/contacts", {}, b"{}"),
    "no body": ("POST", "/export/deals", {}, None),
    "a body with all fields": (
        "POST",
        "/export/notes",
        {"idempotency-key": "k1"},
        b'{"limit": 7, "label": "\xc3\xbc", "page_size": 5, "offset": 3, "params": {"a": ["1", "2"]}}',
    ),
    "a plan": ("POST", "/export/contacts", {}, b'{"dry_run": "perhaps"}'),
    "a body that is no JSON": ("POST", "/export/contacts", {}, b"{"),
    "an unknown field": ("POST", "/export/contacts", {}, b'{"x": 1}'),
    "a page that is too large": ("POST", "/export/contacts", {}, b'{"page_size": 5000}'),
    "a body that is too long": ("POST", "/export/contacts", {}, b" " * 70_000),
    "a compressed body": ("POST", "/export/contacts", {"content-encoding": "gzip"}, b"{}"),
    "an unknown type": ("POST", "/export/tickets", {}, b"{}"),
    "a type in other letters": ("POST", "/export/Contacts", {}, b"{}"),
    "a key that is none": ("POST", "/export/contacts", {"idempotency-key": "a b"}, b"{}"),
    "a type that is unknown and a key that is none": ("POST", "/export/x", {"idempotency-key": ""}, b"{"),
    "another account": ("POST", "/export/contacts", {"claims": '{"uid": "u9"}'}, b"{}"),
    "no JWT": ("POST", "/export/x", {"authorization": ""}, b"{"),
    "no scope": ("POST", "/export/contacts", {"claims": '{"scope": "x"}'}, b"{}"),
    "a query": ("POST", "/export/contacts?limit=x", {}, b"{}"),
    "a trailing slash": ("POST", "/export/contacts/", {}, b"{}"),
    "an escaped slash": ("POST", "/export/con%2Ftacts", {}, b"{}"),
    "another method": ("PUT", "/export/contacts", {}, b"{}"),
    "a job": ("GET", "/jobs/{job}", {}, None),
    "a job's head": ("HEAD", "/jobs/{job}", {}, None),
    "a job at once": ("GET", "/jobs/{job}", {"prefer": "wait=0"}, None),
    "an unknown job": ("GET", "/jobs/unknown", {}, None),
    "a job with an odd name": ("GET", "/jobs/%00%ff", {}, None),
    "a wait that is none": ("GET", "/jobs/{job}", {"prefer": "wait=x"}, None),
    "another's job": ("GET", "/jobs/{job}", {"claims": '{"account_id": "a2"}'}, None),
}


@pytest.fixture(scope="module")
def shims() -> Iterator[tuple[Shim, Shim]]:
    """Yield two shims over equal parts; the second answers by FastAPI alone."""
    with serving(new_parts()) as direct, serving(new_parts()) as plain:
        assert isinstance(plain.app.middleware_stack, RequestLog)
        plain.app.middleware_stack._app = plain.app.build_middleware_stack()  # noqa: SLF001 - what it stands before
        yield direct, plain


def answered(shim: Shim, name: str) -> tuple[int, dict[str, str], bytes]:
    method, path, headers, content = REQUESTS[name]
    path = path.replace("{job}", job_of(shim).job_id)
    if "claims" in headers:
        headers = {"authorization": f"Bearer {mint(json.loads(headers['claims']))}"}
    answer: httpx.Response = shim.ask(method, f"{BASE_PATH}{path}", headers=headers, content=content)
    shown = {each: _ID.sub(b"<id>", value.encode()).decode() for each, value in answer.headers.items() if each in OURS}
    return answer.status_code, shown, _ID.sub(b"<id>", answer.content)


def job_of(parts: Parts) -> Job:
    if not parts.jobs.all:
        assert isinstance(parts, Shim)
        parts.start("contacts")
    return parts.jobs.all[0]


@pytest.mark.parametrize("name", REQUESTS)
def test_the_answer_is_the_same(shims: tuple[Shim, Shim], name: str) -> None:
    direct, plain = (answered(shim, name) for shim in shims)

    assert direct == plain


@pytest.mark.parametrize("name", ["an export", "a job", "a job's head", "an unknown type", "an unknown job"])
def test_the_log_is_the_same(shims: tuple[Shim, Shim], name: str, logs: list[EventDict]) -> None:
    for shim in shims:
        answered(shim, name)

    lines = [line for line in logs if line["event"] == "request_answered"]
    direct, plain = (
        {key: value for key, value in line.items() if key not in {"seconds", "request_id", "job_id"}} for line in lines
    )
    assert direct == plain
    assert ["job_id" in line for line in lines] in ([True, True], [False, False])


def test_a_bug_is_answered_and_logged_and_no_more_is_said(logs: list[EventDict]) -> None:
    with serving(new_parts()) as shim:

        async def fail(*_: object, **__: object) -> None:
            raise ValueError("secret")

        shim.app.state.verifier.caller = fail
        answer = shim.post("/export/contacts")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert "secret" not in answer.text
    assert [line["event"] for line in logs if line["log_level"] == "error"] == ["unexpected_error"]
