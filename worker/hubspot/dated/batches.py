"""Records by their ids: `POST {list}/batch/read`, at most 100 a call, 50 where history is asked for.

Published: `{"inputs": [{"id"}], "properties": [], "propertiesWithHistory": []}` -> `{"status", "results", "errors"}`
with status 200, or 207 where some are not there; whether archived ones are meant is a parameter of the address. Results
come in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from pydantic import SecretStr

from worker.hubspot.dated.objects import as_written, id_text
from worker.hubspot.dated.query import DatedQuery
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Answer, Transport
from worker.rate_limit.quota import Quota
from worker.records.findings import CallKind
from worker.records.mending import Mended, MendKind, NotJsonError, decoded
from worker.records.page import Mend, mends_by_place

_NO_BATCH = "HubSpot's answer is not the batch of objects it should be"
_UNDONE = "HubSpot has not done all of a batch"
_COMPLETE = (None, "COMPLETE")
_GONE = "OBJECT_NOT_FOUND"
T = TypeVar("T")


class _Batch(msgspec.Struct):
    results: list[msgspec.Raw] | None
    status: Any = None
    errors: Any = None


_decode = msgspec.json.Decoder(_Batch, float_hook=as_written).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """The answer to one call: what came, and the errors of single inputs."""

    results: Sequence[msgspec.Raw]
    errors: Sequence[Mapping[str, Any]]
    mended: Mended


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Records by their ids; what is not there any more is missing. `mended` is what was mended in which of them."""

    records: Mapping[str, msgspec.Raw]
    mended: Sequence[tuple[str | None, MendKind]]
    quota: Quota | None
    correlation_id: str | None

    def mends_in(self, ids: Sequence[str | None]) -> tuple[Mend, ...]:
        """Return the mends by the places that records have among `ids`."""
        if not self.mended:
            return ()
        places = {each: place for place, each in enumerate(ids)}
        return tuple(Mend(places.get(each, 0), kind) for each, kind in self.mended)


class BatchReader:
    """Reads records by ids, in as many calls as it takes."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def read(self, url: str, ids: Sequence[str], query: DatedQuery, calls: PageCalls, token: SecretStr) -> Found:
        """Read records. Raises a HubSpotError, for any error of a single one as well that is not that it is gone."""
        address = f"{url}?archived=true" if query.archived else url
        records: dict[str, msgspec.Raw] = {}
        mended: list[tuple[str | None, MendKind]] = []
        answer = None
        for some in in_parts(ids, query.most_by_ids):
            body = {
                "inputs": [{"id": each} for each in some],
                "properties": query.properties,
                "propertiesWithHistory": query.history,
            }
            permit = calls.permit(CallKind.BATCH)
            answer = self._transport.post_json(address, body, token, api="dated", permit=permit, is_batch=True)
            batch = read_batch(answer, token)
            _require_only_gone(batch, answer, token)
            records.update((each, record) for record in batch.results if (each := id_text(record)) is not None)
            mended += _mended(batch)
        return Found(
            records=records,
            mended=mended,
            quota=answer.quota if answer is not None else None,
            correlation_id=answer.correlation_id if answer is not None else None,
        )


def in_parts(values: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (values[start : start + most] for start in range(0, len(values), most))


def read_batch(answer: Answer, token: SecretStr) -> Batch:
    """Read a batch that is done. Raises a HubSpotError for anything else."""
    try:
        found, mended = decoded(answer.body, _decode)
    except NotJsonError:
        raise answer.unusable(_NO_BATCH, secrets=[token]) from None
    if found.status not in _COMPLETE:
        raise answer.unusable(_UNDONE, secrets=[token])
    errors = found.errors if isinstance(found.errors, list) else []
    return Batch(
        results=found.results or [],
        errors=[each if isinstance(each, dict) else {} for each in errors],
        mended=mended,
    )


def error_of_input(error: Mapping[str, Any], answer: Answer, token: SecretStr) -> Exception:
    """Make the error that HubSpot has of a single input."""
    body = msgspec.json.encode({"message": _UNDONE, **error, "status": "error"})
    return Answer(body, answer.quota, answer.correlation_id).unusable(_UNDONE, secrets=[token])


def _require_only_gone(batch: Batch, answer: Answer, token: SecretStr) -> None:
    other = next((each for each in batch.errors if each.get("category") != _GONE), None)
    if other is not None:
        raise error_of_input(other, answer, token)


def _mended(batch: Batch) -> Iterator[tuple[str | None, MendKind]]:
    if batch.results:
        for mend in mends_by_place(batch.mended, batch.results):
            yield id_text(batch.results[mend.place]), mend.kind
