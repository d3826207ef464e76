"""Requests a second: what is refused, how, and what is not counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.shim import Shim, mint


@pytest.fixture
def limited(running: Running) -> Iterator[Shim]:
    """Yield a shim that lets a caller ask once in ten minutes."""
    with running(max_requests_per_second=1 / 600) as shim:
        yield shim


def test_a_request_that_comes_too_early_is_refused_with_nothing_done(limited: Shim) -> None:
    assert limited.get("/jobs").status_code == 200

    answer = limited.post("/export/contacts")

    assert (answer.status_code, answer.json()["code"], answer.json()["errno"]) == (429, "too_many_requests", 429)
    assert 590 <= int(answer.headers["retry-after"]) <= 600
    assert "MAX_REQUESTS_PER_SECOND" in answer.json()["message"]
    assert limited.jobs.all == []


def test_another_caller_is_not_concerned(limited: Shim) -> None:
    limited.get("/jobs")

    assert limited.get("/jobs", authorization=f"Bearer {mint({'uid': 'u2'})}").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/nowhere"])
def test_what_asks_for_no_jwt_is_not_counted(limited: Shim, path: str) -> None:
    assert {limited.ask("GET", path, authorization="").status_code for _ in range(3)} & {429} == set()


def test_who_has_no_valid_jwt_is_told_that(limited: Shim) -> None:
    limited.get("/jobs")

    assert limited.get("/jobs", authorization="Bearer x").status_code == 401


def test_unless_it_is_set_there_is_no_limit(shim: Shim) -> None:
    assert {shim.get("/jobs").status_code for _ in range(20)} == {200}


def test_without_redis_everyone_is_answered(limited: Shim) -> None:
    limited.redis.connected = False

    assert {limited.get("/jobs").status_code for _ in range(3)} == {200}
