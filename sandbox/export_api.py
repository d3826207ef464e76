"""A small client of the public HTTP API: start an export, poll it, read its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import requests

_BASE_PATH = "/v1/integrations/hubspot"
_TIMEOUT_S = 10
_MOST_RESULTS = 1000


class ApiError(Exception):
    """The API refused the request or did not answer; the text names the request and the response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """The state of a job as the API reports it; `seconds` from the first start to the end, None until then."""

    status: str
    pages: int
    records: int
    records_per_second: float | None
    seconds: float | None
    error: str | None

    @property
    def has_ended(self) -> bool:
        return self.status in {"succeeded", "failed", "cancelled"}

    @classmethod
    def read(cls, job: dict[str, Any]) -> Self:
        progress, error = job["progress"], job["error"]
        return cls(
            status=job["status"],
            pages=progress["pages"],
            records=progress["records"],
            records_per_second=progress["records_per_second"],
            seconds=_seconds(job["started_at"], job["finished_at"]),
            error=error["message"] if error else None,
        )


def _seconds(started_at: str | None, finished_at: str | None) -> float | None:
    if started_at is None or finished_at is None:
        return None
    return (datetime.fromisoformat(finished_at) - datetime.fromisoformat(started_at)).total_seconds()


class ExportApi:
    """A client for one JWT. All methods raise ApiError."""

    def __init__(self, base_url: str, *, token: str, session: requests.Session) -> None:
        self._base_url = base_url
        self._session = session
        self._headers = {"Authorization": f"Bearer {token}"}

    def start(self, export_type: str, body: Mapping[str, Any] | None = None) -> str:
        """Start an export, of all records unless the body says otherwise; return the job's path."""
        return self._start(f"export/{export_type}", body)

    def start_sync(self, body: Mapping[str, Any] | None = None) -> str:
        """Start a sync; return the job's path."""
        return self._start("sync", body)

    def job(self, path: str) -> JobState:
        return JobState.read(self.body(path))

    def body(self, path: str) -> dict[str, Any]:
        """Return the job as the API answers it."""
        found: dict[str, Any] = self._ask("GET", path).json()["data"]
        return found

    def results(self, path: str, *, limit: int, offset: int | None = None) -> dict[str, Any]:
        """Return one page of results; `offset` comes from the previous page."""
        query = {"limit": limit, **({"offset": offset} if offset is not None else {})}
        body: dict[str, Any] = self._ask("GET", f"{path}/results", query=query).json()
        return body

    def count_results(self, path: str, *, list_key: str) -> int:
        """Read all of a job's results page by page; return their number."""
        records, offset, has_more = 0, None, True
        while has_more:
            body = self.results(path, limit=_MOST_RESULTS, offset=offset)
            records += len(body["data"][list_key])
            offset, has_more = body["pagination"]["offset"], bool(body["pagination"]["hasMore"])
        return records

    def _start(self, path: str, body: Mapping[str, Any] | None) -> str:
        answer = self._ask("POST", f"{_BASE_PATH}/{path}", body=body)
        if answer.status_code != requests.codes.accepted:
            raise ApiError(f"POST {path} answered {answer.status_code} instead of 202")
        return answer.headers["Location"]

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, int] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> requests.Response:
        try:
            answer = self._session.request(
                method, f"{self._base_url}{path}", params=query, json=body, headers=self._headers, timeout=_TIMEOUT_S
            )
        except requests.RequestException as error:
            raise ApiError(f"{method} {path}: {type(error).__name__}") from None
        if not answer.ok:
            raise ApiError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer
