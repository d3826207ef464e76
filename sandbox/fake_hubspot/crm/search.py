"""The search of a type, POST /crm/objects/2026-09/{type}/search."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from sandbox.fake_hubspot import errors
from sandbox.fake_hubspot.admission import refuse_sensitive
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.crm.properties import definitions
from sandbox.fake_hubspot.crm.search_filters import FilterGroup, InvalidSearchError, conditions_of, reader
from sandbox.fake_hubspot.crm.search_index import SearchIndex, Sort
from sandbox.fake_hubspot.messages import Answer
from sandbox.fake_hubspot.records.shape import RecordType, Shape

_LARGEST_LIMIT = 200
_MOST_RESULTS = 10_000
_LONGEST_BODY = 3_000


class _Sort(msgspec.Struct, frozen=True, rename="camel"):
    property_name: str
    direction: Literal["ASCENDING", "DESCENDING"] = "ASCENDING"


class _Search(msgspec.Struct, frozen=True, rename="camel"):
    limit: int = 10
    after: str | int | None = None
    properties: tuple[str, ...] = ()
    filter_groups: tuple[FilterGroup, ...] = ()
    sorts: tuple[_Sort | str, ...] = ()
    query: str = ""


def answer(record_type: RecordType, call: Call) -> Answer:
    """Return one page, by ascending id unless sorted otherwise; `after` is a row number, and `total` counts all rows.

    Associations and history are not to be had here, and archived records are not found. The 3,000 characters of a
    body count names of properties too. A `query` is refused, because it is not modelled.
    """
    try:
        return _answer(record_type, call)
    except InvalidSearchError as error:
        return errors.validation(call, str(error))
    except msgspec.MsgspecError as error:
        return errors.validation(call, f"Invalid input JSON: {error}")


def _answer(record_type: RecordType, call: Call) -> Answer:
    asked, account = _read(call), call.owner
    defined = definitions(account, record_type.name)
    types = {name: each.type for name, each in defined.items() if not each.archived}
    conditions, sort = conditions_of(asked.filter_groups, types), _sort(asked, types)
    named = {*asked.properties, *(each.name for group in conditions for each in group)}
    named |= {sort.name} if sort else set()
    if any(defined[name].sensitivity == "highly_sensitive" for name in named if name in defined):
        raise InvalidSearchError("Highly sensitive properties are not available in the search")
    if refusal := refuse_sensitive(call, record_type, named):
        return refusal
    if not 1 <= asked.limit <= _LARGEST_LIMIT:
        return errors.limit_too_large(call, asked.limit, _LARGEST_LIMIT)
    start = _row(asked.after)
    end = start + asked.limit
    if end > _MOST_RESULTS:
        raise InvalidSearchError(f"Paging beyond {_MOST_RESULTS} results of one search is not possible")
    index = SearchIndex(account, record_type, at=call.at)
    found = index.find(conditions, sort)
    shape = Shape(dated=True, properties=asked.properties)
    records = account.renderer.render(record_type.name, found[start:end], shape)
    paging = b',"paging":%s' % msgspec.json.encode({"next": {"after": str(end)}}) if end < len(found) else b""
    return Answer(200, b'{"total":%d,"results":[%s]%s}' % (len(found), b",".join(records), paging))


def _read(call: Call) -> _Search:
    body = call.request.body or b"{}"
    if len(body.decode("utf-8", "replace")) > _LONGEST_BODY:
        raise InvalidSearchError(f"The request body exceeds {_LONGEST_BODY} characters")
    asked = msgspec.json.decode(body, type=_Search)
    if asked.query:
        raise InvalidSearchError("query is not modelled by the fake HubSpot")
    return asked


def _sort(asked: _Search, types: Mapping[str, str]) -> Sort | None:
    if len(asked.sorts) > 1:
        raise InvalidSearchError("Only one sort is allowed")
    for each in asked.sorts:
        sort = _Sort(each) if isinstance(each, str) else each
        if sort.property_name not in types:
            raise InvalidSearchError(f"Property {sort.property_name} does not exist")
        read = reader(types[sort.property_name])
        return Sort(sort.property_name, read, descending=sort.direction == "DESCENDING")
    return None


def _row(after: str | int | None) -> int:
    text = str(after or 0)
    if not (text.isascii() and text.isdigit()):
        raise InvalidSearchError(f"after must be a row number: {text}")
    return int(text)
