"""Pages of legacy lists that take several calls: HubSpot refuses addresses of more than some 16,000 characters.

The names of properties are divided among several calls from one offset, and the records of their answers are joined by
id. Whatever else is asked for goes with each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from pydantic import SecretStr

from worker.errors import AddressTooLongError, FatalHubSpotError, HubSpotError, RetryableHubSpotError
from worker.export.interfaces import PageQuery
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Answer, Transport
from worker.records.envelope import PageUnreadableError
from worker.records.findings import CallKind
from worker.records.page import Page, read_page, record_ids, split_records
from worker.records.registry import OBJECT_TYPES

LONGEST_QUERY = 14_000
"""Characters of a query that HubSpot is sure to take, as they are sent."""

TOO_LONG = 414
_MOST_READS = 3  # of a page whose records differ from call to call
_HISTORY = "propertiesWithHistory"
_NAMING = frozenset({"property", "properties", _HISTORY})
_CHANGED = (
    "HubSpot's list changed again and again between the calls that one page takes, each for some properties of it"
)

Pairs: TypeAlias = list[tuple[str, str]]
_Fields: TypeAlias = dict[str, msgspec.Raw]

_decode_fields = msgspec.json.Decoder(_Fields).decode


class SplitCalls:
    """GETs pages: with one call where the address may be as long as it is, else with several."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(  # noqa: PLR0913 - what a page consists of
        self, url: str, pairs: Pairs, query: PageQuery, token: SecretStr, *, calls: PageCalls, list_key: str
    ) -> Answer:
        """GET a page, whose list of records is called `list_key`.

        Raises a HubSpotError, AddressTooLongError where shorter addresses may work; and what the permit of a further
        call raises.
        """
        address = urlsplit(url)
        asked = [*parse_qsl(address.query, keep_blank_values=True), *pairs]
        parts = split_query(asked, longest=query.longest_query or LONGEST_QUERY)
        try:
            if len(parts) == 1:
                return self._get(url, pairs, calls, token)
            bare = urlunsplit(address._replace(query=""))
            return self._get_parts(bare, parts, query, token, calls=calls, list_key=list_key)
        except FatalHubSpotError as error:
            raise _shorter(error, parts) from error

    def _get(self, url: str, pairs: Pairs, calls: PageCalls, token: SecretStr) -> Answer:
        permit = calls.permit(CallKind.LIST)
        return self._transport.get(url, pairs, token, api="legacy", permit=permit)

    def _get_parts(  # noqa: PLR0913 - what a call consists of
        self,
        url: str,
        parts: Sequence[Pairs],
        query: PageQuery,
        token: SecretStr,
        *,
        calls: PageCalls,
        list_key: str,
    ) -> Answer:
        for _ in range(_MOST_READS):
            answers = [self._get(url, pairs, calls, token) for pairs in parts]
            pages = [_page(answer, query.export_type, token, list_key=list_key) for answer in answers]
            records = [split_records(query.export_type, page.body, list_key=list_key) for page in pages]
            if len({tuple(_ids(each, query.export_type)) for each in records}) == 1:
                body = _with_records(pages[0].body, list_key, _merged_by_place(records))
                mends = tuple(mend for page in pages for mend in page.mends)
                return Answer(body, answers[-1].quota, answers[0].correlation_id, mends)
        raise RetryableHubSpotError(_CHANGED, status=200)


def split_query(asked: Sequence[tuple[str, str]], *, longest: int) -> list[Pairs]:
    """Share the names of properties out over as few queries as have at most so many characters, in order.

    Each has one name at the least. A query that is short enough stays as it is; otherwise a property whose history is
    asked for is not asked for without it as well.
    """
    if _length(asked) <= longest:
        return [list(asked)]
    others = [pair for pair in asked if pair[0] not in _NAMING]
    with_history = {value for name, value in asked if name == _HISTORY}
    names = dict.fromkeys(
        pair for pair in asked if pair[0] in _NAMING and (pair[0] == _HISTORY or pair[1] not in with_history)
    )
    left, parts = longest - _length(others), list[Pairs]()
    for pair in names:
        size = _length([pair]) + 1
        if not parts or size > left:
            parts.append([])
            left = longest - _length(others)
        parts[-1].append(pair)
        left -= size
    return [[*others, *part] for part in parts] or [list(asked)]


def _shorter(error: FatalHubSpotError, parts: Sequence[Pairs]) -> HubSpotError:
    """Turn a 414 into AddressTooLongError, as long as there is more than one name in one of the addresses."""
    most_names = max(sum(name in _NAMING for name, _ in part) for part in parts)
    if error.status != TOO_LONG or most_names <= 1:
        return error
    return too_long(error, longest_query=max(map(_length, parts)) // 2)


def too_long(error: FatalHubSpotError, *, longest_query: int) -> AddressTooLongError:
    """Say how long an address may be; all that HubSpot said of the longer one stays."""
    return AddressTooLongError(
        error.message,
        status=error.status,
        body=error.body,
        correlation_id=error.correlation_id,
        retry_after_s=0.0,
        quota=error.quota,
        details=error.details,
        longest_query=longest_query,
    )


def _length(pairs: Iterable[tuple[str, str]]) -> int:
    return len(urlencode(list(pairs)))


def _page(answer: Answer, export_type: str, token: SecretStr, *, list_key: str) -> Page:
    try:
        return read_page(export_type, answer.body, list_key=list_key)
    except PageUnreadableError as error:
        raise answer.unusable(str(error), secrets=[token]) from error


def _ids(records: Sequence[bytes], export_type: str) -> list[int | None]:
    return record_ids(
        export_type, b'{"%b":[%b]}' % (OBJECT_TYPES[export_type].page.list_key.encode(), b",".join(records))
    )


def _merged_by_place(parts: Sequence[Sequence[bytes]]) -> list[bytes]:
    return [_merged(same) for same in zip(*parts, strict=True)]


def _merged(same: Sequence[bytes]) -> bytes:
    """Write a record with the properties of all its parts; what is no object stays as it came first."""
    try:
        records = [_decode_fields(record) for record in same]
        properties: dict[str, msgspec.Raw] = {}
        for record in records:
            properties = {**_decode_fields(record.get("properties", b"{}")), **properties}
    except msgspec.ValidationError:
        return same[0]
    return _object({**records[0], "properties": _object(properties)}) if properties else same[0]


def _with_records(body: bytes, list_key: str, records: Sequence[bytes]) -> bytes:
    return _object({**_decode_fields(body), list_key: b"[%b]" % b",".join(records)})


def _object(fields: Mapping[str, bytes | msgspec.Raw]) -> bytes:
    return b"{%b}" % b",".join(b"%b:%b" % (msgspec.json.encode(name), bytes(value)) for name, value in fields.items())
