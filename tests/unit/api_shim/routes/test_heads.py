"""HEAD is answered wherever GET is, as GET is, without the body; and what every answer's head says to browsers."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest

from tests.unit.api_shim.shim import BASE_PATH, Shim, problem

CHANGING = {"x-request-id", "date"}


def paths_with_get(shim: Shim) -> list[str]:
    document = shim.ask("GET", "/openapi.json").json()
    return [path for path, operations in document["paths"].items() if "get" in operations]


def test_every_path_that_has_get_answers_head_alike(shim: Shim) -> None:
    job_id = shim.start("contacts")
    paths = [*paths_with_get(shim), "/docs", "/docs/assets/swagger-ui.css", "/openapi.json", "/nowhere"]
    assert len(paths) > 12
    for template in paths:
        path = template.replace("{job_id}", job_id).replace("{type}", "contacts").replace("{record_id}", "1")
        quick = {"prefer": "respond-async"}
        got, headed = (shim.ask(method, path, headers=quick) for method in ("GET", "HEAD"))
        assert headed.status_code == got.status_code, path
        assert headed.content == b"", path
        alike = {name for name in got.headers if name not in CHANGING}
        assert {name for name in headed.headers if name not in CHANGING} == alike, path


def test_head_without_a_jwt_is_refused_as_get_is(shim: Shim) -> None:
    assert shim.ask("HEAD", f"{BASE_PATH}/jobs", authorization="").status_code == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_an_account_has_is_kept_by_no_cache(shim: Shim, method: str) -> None:
    for path in ("/jobs", "/export/contacts", "/jobs/unknown"):
        answer = shim.ask(method, f"{BASE_PATH}{path}", headers={"prefer": "respond-async"})
        assert answer.headers["cache-control"] == "no-store", path
        assert answer.headers["x-content-type-options"] == "nosniff", path


def test_no_type_is_guessed_by_a_browser_anywhere(shim: Shim) -> None:
    for path in ("/healthz", "/metrics", "/docs", "/openapi.json", "/nowhere"):
        assert shim.ask("GET", path).headers["x-content-type-options"] == "nosniff", path


def test_the_page_of_the_api_runs_no_script_but_its_own(shim: Shim) -> None:
    page = shim.ask("GET", "/docs")
    policy = page.headers["content-security-policy"]
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r"\son\w+=", page.text)


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip"])
def test_a_compressed_body_is_refused_and_not_unpacked(shim: Shim, coding: str) -> None:
    answer = shim.ask("POST", f"{BASE_PATH}/export/contacts", content=b"\x1f\x8b", headers={"content-encoding": coding})
    assert problem(answer) == (
        415,
        {
            "success": False,
            "errno": 415,
            "message": "Content-Encoding: a body must not be compressed",
            "code": "invalid_request",
        },
    )
    assert not shim.jobs.all


@pytest.mark.parametrize("coding", ["identity", "Identity", ""])
def test_a_body_that_says_it_is_plain_is_read(shim: Shim, coding: str) -> None:
    answer = shim.ask("POST", f"{BASE_PATH}/export/contacts", content=b"{}", headers={"content-encoding": coding})
    assert answer.status_code == 202
