"""The export API in memory, at the seam where httpx sends, and the command line that is run against it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from click.testing import CliRunner, Result

from api_shim.cli import main
from api_shim.commands.api import BASE_PATH
from api_shim.commands.outside import Outside

JWT = "e30.e30.c2lnbmVk"
JOB_ID = "8d5f"
URL = "http://shim.test"

Json = dict[str, Any]


@dataclass(kw_only=True)
class FakeExportApi:
    """One job: each long poll moves it on to the next of `states`.

    The list of jobs holds `listed` others, the current copy so many contacts. Each of `breaks` has a download break off
    after so many bytes; each download bears the next of `tags`, or the last.

    A retry has it go through all of `states` once more; a cancel leaves it no other state than that.
    """

    records: list[bytes] = field(default_factory=list)
    states: list[str] = field(default_factory=lambda: ["queued", "running", "succeeded"])
    error: Json | None = None
    listed: int = 0
    breaks: deque[int] = field(default_factory=deque)
    tags: list[str] = field(default_factory=lambda: ['W/"one"'])
    keeps_preferences: bool = True
    failures: deque[httpx.Response | BaseException] = field(default_factory=deque)
    asked: list[httpx.Request] = field(default_factory=list)
    paused: list[float] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.failures:
            failure = self.failures.popleft()
            if isinstance(failure, BaseException):
                raise failure
            return failure
        path = request.url.path.removeprefix(BASE_PATH)
        if request.method == "POST":
            return self._take_on(path)
        if request.method == "DELETE":
            return httpx.Response(204)
        return self._show(path, request)

    def job(self) -> Json:
        """Describe the job as it stands."""
        progress = {"pages": 1, "records": len(self.records), "records_per_second": 8.5, "offset": 1, "has_more": True}
        data = {"job_id": JOB_ID, "type": "contacts", "status": self.states[0], "progress": progress}
        return {"success": True, "message": "Job found", "data": {**data, "error": self.error, "label": "x"}}

    def _show(self, path: str, request: httpx.Request) -> httpx.Response:
        if path == "/jobs":
            return self._list(request.url.params)
        if path == "/records/contacts":
            return self._follow(request.url.params)
        if path == f"/jobs/{JOB_ID}":
            return self._look(request)
        if path == f"/jobs/{JOB_ID}/results":
            return self._results(request.url.params)
        if path == f"/jobs/{JOB_ID}/download":
            return self._download()
        return refusal(404, "RESOURCE_NOT_FOUND", code="job_not_found")

    def _take_on(self, path: str) -> httpx.Response:
        if path == f"/jobs/{JOB_ID}/retry":
            self.states = ["queued", "running", "succeeded"]
        elif path == f"/jobs/{JOB_ID}/cancel":
            self.states = ["cancelled"]
        elif path != "/sync" and not path.startswith("/export/"):
            return refusal(404, "RESOURCE_NOT_FOUND")
        return httpx.Response(202, json=self.job())

    def _look(self, request: httpx.Request) -> httpx.Response:
        preference = request.headers.get("prefer")
        if preference and len(self.states) > 1:
            del self.states[0]
        applied = {"Preference-Applied": preference} if preference and self.keeps_preferences else {}
        return httpx.Response(200, json=self.job(), headers=applied)

    def _list(self, query: httpx.QueryParams) -> httpx.Response:
        start, limit = int(query.get("cursor", 0)), int(query["limit"])
        ended = {"created_at": "2026-11-23T15:00:00Z", "status": "succeeded", "label": "[bold]"}
        jobs = [self.job()["data"] | ended | {"job_id": f"job-{number}"} for number in range(self.listed)]
        more = start + limit < self.listed
        pagination = {"hasMore": more or None, "cursor": str(start + limit) if more else None}
        return httpx.Response(200, json={"data": jobs[start : start + limit], "pagination": pagination})

    def _follow(self, query: httpx.QueryParams) -> httpx.Response:
        start, limit = int(query.get("cursor", 0)), int(query["limit"])
        found = [{"id": number, "record": {"vid": number}} for number in range(self.listed)][start : start + limit]
        end = start + len(found)
        pagination = {"hasMore": end < self.listed or None, "cursor": str(end) if end else None}
        return httpx.Response(200, json={"data": found, "pagination": pagination})

    def _download(self) -> httpx.Response:
        whole = b"".join(record + b"\n" for record in self.records)
        tag = self.tags.pop(0) if len(self.tags) > 1 else self.tags[0]
        broken = self.breaks.popleft() if self.breaks else None
        return httpx.Response(200, headers={"ETag": tag}, stream=_Stream(whole, broken))

    def _results(self, query: httpx.QueryParams) -> httpx.Response:
        start = int(query.get("offset", 0))
        end = min(start + int(query.get("limit", 10)), len(self.records))
        more = end < len(self.records)
        data = b'{"contacts":[%s],"has-more":%s,"vid-offset":%d}' % (
            b",".join(self.records[start:end]),
            b"true" if more else b"false",
            end,
        )
        page = json.dumps({"hasMore": more or None, "offset": end or None}).encode()
        return httpx.Response(
            200, content=b'{"success":true,"message":"DATA Recieved","data":%s,"pagination":%s}' % (data, page)
        )


class _Stream(httpx.SyncByteStream):
    """Comes in small pieces, and breaks off after so many bytes when it is told to."""

    def __init__(self, whole: bytes, broken: int | None) -> None:
        self._whole = whole
        self._broken = broken

    def __iter__(self) -> Iterator[bytes]:
        given = self._whole[: self._broken]
        yield from (given[start : start + 100] for start in range(0, len(given), 100))
        if self._broken is not None:
            raise httpx.RemoteProtocolError("incomplete chunked read")


def refusal(status: int, message: str, **more: str) -> httpx.Response:
    """Refuse in the documented body."""
    return httpx.Response(status, json={"success": False, "errno": status, "message": message, **more})


def run(api: FakeExportApi, *words: str, typed: str | None = None, environment: dict[str, str] | None = None) -> Result:
    """Run `hubspot-export` with these words; `typed` is what a person at a terminal answers."""
    outside = Outside(
        transport=httpx.MockTransport(api), pause=api.paused.append, is_interactive=lambda: typed is not None
    )
    given = {"HUBSPOT_EXPORT_URL": URL, "HUBSPOT_EXPORT_TOKEN": JWT} if environment is None else environment
    return CliRunner().invoke(main, list(words), input=typed, env=given, obj=outside)
