"""The dated API's questions and pages <-> the shape of a type, so that a client need not know which API was asked.

Ids are shared by both APIs. What the dated API does not have (identity profiles, form submissions, the imports of
deals) is not invented, and told; documented lists are empty then. A value that has no place in the documented shape, as
an owner that is no number, stands there as it came. Types that only the dated API has keep its bodies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from worker.hubspot.dated.lists import DatedListPage
from worker.hubspot.dated.objects import DatedObject
from worker.hubspot.dated.query import DatedQuery
from worker.hubspot.dated.records import LEGACY_NEEDS, RECORD_WRITERS
from worker.hubspot.dated.writing import Writing
from worker.hubspot.list_question import ListQuestion
from worker.records.dated_types import MOST_RECORDS
from worker.records.envelope import PageUnreadableError
from worker.records.object_type import ObjectType, RecordShape
from worker.records.page import Page, read_page
from worker.records.registry import OBJECT_TYPES
from worker.records.types import Offset

_TOO_DEEP = "HubSpot's answer is nested too deeply"


def to_dated_query(
    export_type: str,
    question: ListQuestion,
    *,
    count: int,
    after: Offset | None = None,
    longest_query: int | None = None,
) -> DatedQuery:
    """Put a question to the dated API: with what the type's shape is written from."""
    known = OBJECT_TYPES[export_type]
    dated, needs = known.dated, LEGACY_NEEDS[known.dated.shape]
    associates = dated.associates if question.associates is None else question.associates
    names = (*question.names, *question.history) if question.names else ()
    always = (*dated.properties, *needs.properties, *(needs.of_merges if question.wants_merges else ()))
    return DatedQuery(
        path=dated.path,
        count=count if known.page.is_paging else min(count, MOST_RECORDS),
        after=after,
        properties=_distinct((*always, *(names or (needs.unasked if always else ())))),
        history=_distinct((*question.history, *(names if question.is_history_of_all else ()))),
        associations=_distinct((*(dated.associations if associates else ()), *question.associations)),
        archived=question.archived,
        passed=tuple(question.others),
        longest_query=longest_query,
    )


def writing_of(
    export_type: str, question: ListQuestion, *, hub_id: int | None, times: frozenset[str] = frozenset()
) -> Writing:
    """Return what records are written with, for a question that the list was asked."""
    dated = OBJECT_TYPES[export_type].dated
    named = question.names or LEGACY_NEEDS[dated.shape].unasked
    names = None if question.is_all else frozenset(each.lower() for each in (*named, *question.history))
    return Writing(
        dated=dated,
        hub_id=hub_id,
        names=names,
        times=times,
        associations=question.associations,
        merges=question.wants_merges,
    )


def not_available(export_type: str, query: DatedQuery) -> tuple[str, ...]:
    """Name the fields of the documented shape that an answer does not give."""
    needs = LEGACY_NEEDS[OBJECT_TYPES[export_type].dated.shape]
    has_sources = set(query.properties) - {*needs.properties, *needs.of_merges} <= set(query.history) and bool(
        query.history
    )
    return needs.not_available if has_sources else (*needs.not_available, *needs.sourced)


def to_page(export_type: str, found: DatedListPage, writing: Writing) -> Page:
    """Write a page in its type's shape. Raises PageUnreadableError where it is nested too deeply."""
    known = OBJECT_TYPES[export_type]
    if known.dated.shape is RecordShape.OBJECT:
        body = found.body if found.body is not None else _object_body(known, found)
    else:
        body = _legacy_body(known, found, writing)
    page = read_page(export_type, body)
    return replace(page, mends=found.mends) if found.mends else page


def _legacy_body(known: ObjectType, found: DatedListPage, writing: Writing) -> bytes:
    write, keys = RECORD_WRITERS[known.dated.shape], known.page
    try:
        objects = found.objects
        records = [write(each, writing) if isinstance(each, DatedObject) else each for each in objects]
        offset = found.after if found.after is not None else _last_offset(found)
        return msgspec.json.encode(
            {keys.list_key: records, keys.more_key: found.after is not None, keys.offset_key: offset}
        )
    except RecursionError as error:
        raise PageUnreadableError(_TOO_DEEP) from error


def _object_body(known: ObjectType, found: DatedListPage) -> bytes:
    paging = {} if found.after is None else {"paging": {"next": {"after": str(found.after)}}}
    return msgspec.json.encode({known.page.list_key: found.records, **paging})


def _last_offset(found: DatedListPage) -> int:
    """Return an offset behind the last record, as the legacy API sends one on its last page; 0 where none has an id.

    HubSpot gives none. `after` includes the record that it names, so that nothing but new records comes from there on.
    """
    return 0 if found.last_id is None else found.last_id + 1


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
