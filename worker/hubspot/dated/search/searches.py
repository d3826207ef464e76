"""The search of the dated API: records by conditions, in the order of their ids.

Published: `POST {list}/search` with at most 3,000 characters gives at most 200 records a call, neither associations nor
history, and of one question no more than 10,000. HubSpot allows an account 5 a second, and counts them apart from all
other calls. What has changed is found seconds later.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from pydantic import SecretStr

from worker.errors import FeedUnusableError
from worker.hubspot.dated.addresses import DatedAddresses
from worker.hubspot.dated.objects import id_text, read_list
from worker.hubspot.dated.query import ID_PROPERTY
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Transport
from worker.records.envelope import PageUnreadableError
from worker.records.findings import CallKind
from worker.records.mending import NotJsonError, decoded
from worker.records.page import Mend
from worker.records.plain_values import plain_integer

LONGEST_BODY = 3_000
"""Characters of a question that HubSpot takes."""

_DISORDER = "HubSpot's search did not give records in the order of their ids"
_NOTHING = "HubSpot's search counts records, and gives none"

_OK = 200

Filter: TypeAlias = Mapping[str, str]


class _Total(msgspec.Struct):
    total: msgspec.Raw = msgspec.Raw(b"null")


_decode_total = msgspec.json.Decoder(_Total).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage:
    """Records in the order of their ids; `last_id` is that of the last one. There may be more behind it."""

    records: Sequence[msgspec.Raw]
    last_id: int | None
    has_more: bool
    mends: tuple[Mend, ...] = ()
    correlation_id: str | None = None


def question(
    filters: Sequence[Filter], *, properties: Sequence[str], after_id: int | None, limit: int
) -> dict[str, Any]:
    """Return what to ask for the records behind an id. Each page is a question of its own, so that none ends early."""
    behind = [] if after_id is None else [{"propertyName": ID_PROPERTY, "operator": "GT", "value": str(after_id)}]
    return {
        "filterGroups": [{"filters": [*filters, *behind]}],
        "sorts": [{"propertyName": ID_PROPERTY, "direction": "ASCENDING"}],
        "properties": list(properties),
        "limit": limit,
    }


def modified_since(name: str, instant: datetime) -> Filter:
    """Return the condition that a property of modification is not before an instant."""
    return {"propertyName": name, "operator": "GTE", "value": str(round(instant.timestamp() * 1000))}


def is_short(asked: Mapping[str, Any]) -> bool:
    """Whether HubSpot takes a question of this length, as it is sent."""
    return len(json.dumps(asked)) <= LONGEST_BODY


class Searches:
    """Makes searches, each with a permit of theirs."""

    def __init__(self, *, transport: Transport, addresses: DatedAddresses) -> None:
        self._transport = transport
        self._addresses = addresses

    def find(
        self, path: str, asked: Mapping[str, Any], *, after_id: int | None, calls: PageCalls, token: SecretStr
    ) -> SearchPage:
        """Ask one question of the list at `path`, for records behind an id.

        Raises a HubSpotError: FeedUnusableError where the answer leaves open what has changed.
        """
        permit = calls.permit(CallKind.SEARCH)
        answer = self._transport.post_json(self._addresses.search(path), asked, token, api="dated", permit=permit)
        try:
            listed, total = read_list(answer.body), total_of(answer.body)
        except PageUnreadableError as error:
            raise answer.unusable(str(error), secrets=[token]) from error
        has_more = listed.after is not None or (total is not None and total > len(listed.records))
        if has_more and not listed.records:
            raise FeedUnusableError(_NOTHING, status=_OK)
        return SearchPage(
            records=listed.records,
            last_id=_last_in_order(listed.records, after_id=after_id),
            has_more=has_more,
            mends=listed.mends,
            correlation_id=answer.correlation_id,
        )


def total_of(body: bytes) -> int | None:
    """Return how many records a search has found; None where its answer does not say so."""
    try:
        found, _ = decoded(body, _decode_total)
    except NotJsonError:
        return None
    total = plain_integer(bytes(found.total))
    return total if total is not None and total >= 0 else None


def _last_in_order(records: Sequence[msgspec.Raw], *, after_id: int | None) -> int | None:
    """Return the last id. Raises FeedUnusableError where they do not ascend: what is behind it is not known then."""
    last = after_id
    for record in records:
        text = id_text(record)
        number = int(text) if text is not None and text.isdecimal() else None
        if number is None or (last is not None and number <= last):
            raise FeedUnusableError(_DISORDER, status=_OK)
        last = number
    return last
