"""ExportApi: a client of the HTTP API. Every failure is one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote
from uuid import uuid4

import httpx
import msgspec

from api_shim.commands.answers import (
    DefinitionLines,
    JobState,
    ListPage,
    read_definitions,
    read_job,
    read_list,
    read_types,
)
from api_shim.commands.api_errors import ApiError, AwayError, LostAnswerError, refused, unanswered
from api_shim.commands.outside import Outside
from worker.records.types import ExportType

BASE_PATH = "/v1/integrations/hubspot"

_CONNECT_S = 10.0
_ANSWER_S = 60.0
_FIRST_BYTE_S = 600.0  # a CSV starts only when all of the export has been read once
_WITHOUT_LONG_POLL_S = 1.0
_OK = range(200, 300)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A download, decompressed. The same tag means the same bytes."""

    tag: str
    chunks: Iterator[bytes]


class ExportApi:
    """A client with one JWT. Its methods raise ApiError."""

    def __init__(self, url: str, *, token: str, outside: Outside) -> None:
        self.outside = outside
        self._url = url
        self._client = httpx.Client(
            base_url=f"{url}{BASE_PATH}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(_ANSWER_S, connect=_CONNECT_S),
            transport=outside.transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def start(self, export_type: ExportType, body: Mapping[str, object]) -> JobState:
        return self._start(f"/export/{export_type}", body)

    def start_sync(self, body: Mapping[str, object]) -> JobState:
        return self._start("/sync", body)

    def plan(self, export_type: ExportType, body: Mapping[str, object]) -> bytes:
        """Return the plan of an export, as the API answers. Nothing is started."""
        return self._ask("POST", f"/export/{export_type}", json={**body, "dry_run": True})

    def plan_sync(self, body: Mapping[str, object]) -> bytes:
        """Return the plan of a sync, as the API answers."""
        return self._ask("POST", "/sync", json={**body, "dry_run": True})

    def schedule(self) -> bytes:
        return self._ask("GET", "/schedule")

    def set_schedule(self, body: Mapping[str, object]) -> bytes:
        """Store the schedule, and return it. Retried, since it is idempotent."""
        return with_retries(partial(self._ask, "PUT", "/schedule", json=body), pause=self.outside.pause)

    def remove_schedule(self) -> None:
        self._ask("DELETE", "/schedule")

    def job(self, job_id: str, *, wait_s: int | None = None) -> JobState:
        """Return a job; with `wait_s` when its state changes, at the latest after so many seconds."""
        return _read(read_job, self.job_body(job_id, wait_s=wait_s))

    def job_body(self, job_id: str, *, wait_s: int | None = None) -> bytes:
        """Return a job as the API answers, waiting as `job` does."""
        prefer = {"Prefer": f"wait={wait_s}"} if wait_s is not None else {}
        answer = self._answer("GET", _job_path(job_id), headers=prefer, timeout=_patience(wait_s))
        if (
            wait_s and "preference-applied" not in answer.headers
        ):  # a proxy has dropped the header: do not poll in a tight loop
            self.outside.pause(min(wait_s, _WITHOUT_LONG_POLL_S))
        return answer.content

    def jobs(self, *, limit: int, cursor: str | None, **wanted: tuple[str, ...]) -> ListPage:
        """Return a page of jobs, newest first; `wanted` takes `status` and `type`."""
        return self._list("/jobs", limit=limit, cursor=cursor, **wanted)

    def records(self, export_type: str, *, wanted: Mapping[str, str], limit: int, cursor: str | None) -> ListPage:
        """Return a page of the current copy in the order of change; `wanted` takes `changed_since` and `deleted`."""
        return self._list(f"/records/{export_type}", limit=limit, cursor=cursor, **wanted)

    def types(self) -> DefinitionLines:
        return _read(read_types, self._ask("GET", "/types"))

    def definitions(self, kind: str, object_type: str | None = None) -> DefinitionLines:
        """Return `properties` or `pipelines` of a type, or `owners`."""
        of_type = f"/{quote(object_type, safe='')}" if object_type is not None else ""
        return _read(read_definitions, self._ask("GET", f"/{kind}{of_type}"))

    def retry(self, job_id: str) -> bytes:
        """Resume a failed or cancelled job. Not retried: a repeated request would be a conflict."""
        return self._ask("POST", f"{_job_path(job_id)}/retry")

    def cancel(self, job_id: str) -> bytes:
        return self._ask("POST", f"{_job_path(job_id)}/cancel")

    def delete(self, job_id: str) -> None:
        self._ask("DELETE", _job_path(job_id))

    def connection(self) -> bytes:
        return self._ask("GET", "/connection")

    def recheck_connection(self) -> bytes:
        """Forget which legacy lists are gone, and return the connection. Retried, since it is idempotent."""
        return with_retries(partial(self._ask, "POST", "/connection/recheck"), pause=self.outside.pause)

    def disconnect(self) -> None:
        self._ask("DELETE", "/connection")

    def remove_portal(self, hub_id: int) -> None:
        self._ask("DELETE", f"/connection/portals/{hub_id}")

    def results_body(self, job_id: str, **query: int | str | None) -> bytes:
        """Return a page of a job's results as the API answers; `query` takes `limit` and `offset`."""
        asked = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"{_job_path(job_id)}/results", params=asked)

    @contextmanager
    def download(self, job_id: str, query: Mapping[str, str]) -> Iterator[Download]:
        """Open a download; errors while it is read are ApiErrors as well."""
        patience = httpx.Timeout(_ANSWER_S, connect=_CONNECT_S, read=_FIRST_BYTE_S)
        path = f"{_job_path(job_id)}/download"
        with self._in_one_line(), self._client.stream("GET", path, params=query, timeout=patience) as answer:
            if answer.status_code not in _OK:
                answer.read()
                raise refused(answer)
            yield Download(tag=answer.headers.get("etag", ""), chunks=answer.iter_bytes())

    def _start(self, path: str, body: Mapping[str, object]) -> JobState:
        """Start a job. If the answer is lost the request is repeated: under one key the job is started once."""
        # Only lost answers are repeated: one that says "later" is for the user to decide.
        once = {"Idempotency-Key": str(uuid4())}
        ask = partial(self._ask, "POST", path, json=body, headers=once)
        try:
            answer = ask()
        except LostAnswerError:
            answer = with_retries(ask, pause=self.outside.pause)
        return _read(read_job, answer)

    def _list(self, path: str, *, limit: int, cursor: str | None, **wanted: object) -> ListPage:
        query = {**wanted, "limit": limit, **({"cursor": cursor} if cursor else {})}
        return _read(read_list, self._ask("GET", path, params=query))

    def _ask(self, method: str, path: str, **parts: Any) -> bytes:  # noqa: ANN401 - httpx's parts of a request
        return self._answer(method, path, **parts).content

    def _answer(self, method: str, path: str, **parts: Any) -> httpx.Response:  # noqa: ANN401 - as above
        with self._in_one_line():
            answer = self._client.request(method, path, **parts)
        if answer.status_code not in _OK:
            raise refused(answer)
        return answer

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise unanswered(self._url, error) from None


def with_retries(call: Callable[[], T], *, pause: Callable[[float], None]) -> T:
    """Retry an idempotent call for half a minute: a restart of the shim must not end a wait of hours."""
    for pause_s in (1, 2, 4, 8, 15):
        try:
            return call()
        except AwayError:
            pause(pause_s)
    return call()


def _job_path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _patience(wait_s: int | None) -> httpx.Timeout:
    return httpx.Timeout(_ANSWER_S + (wait_s or 0), connect=_CONNECT_S)


def _read(reader: Callable[[bytes], T], content: bytes) -> T:
    try:
        return reader(content)
    except (msgspec.MsgspecError, ValueError):
        raise ApiError("The answer is not one of this API: is the URL right?") from None
