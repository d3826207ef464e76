"""The lines of a download: a job's records as NDJSON, or as a table in CSV (RFC 4180)."""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterator
from enum import StrEnum

import msgspec

from api_shim.downloads.surveys import Survey
from api_shim.downloads.tables import Columns, Table
from api_shim.downloads.writing import TableWriter, batches
from worker.errors import JobNotFoundError, SpoiledPageError
from worker.jobs.job import Job
from worker.pages.interfaces import PageStore
from worker.records.conversion import decode
from worker.records.envelope import PageUnreadableError
from worker.records.page import Page, on_one_line, records_by_place

PAUSE = b""
"""A line that is none: there is nothing to send yet, and here the work may be ended."""

_PAGES_AT_ONCE = 8
_RULES = 1  # another number as soon as other columns come of the same records


class DownloadFormat(StrEnum):
    """How a job's records are written."""

    NDJSON = "ndjson"
    CSV = "csv"


class _Summary(msgspec.Struct, frozen=True):
    """What is kept of the columns of a job, with the rules by which they were found."""

    rules: int
    columns: Columns


def ndjson_lines(pages: PageStore, job: Job) -> Iterator[bytes]:
    """Return every record as HubSpot sent it, on a line of its own, those of some at once.

    Raises JobNotFoundError where a page is missing, and SpoiledPageError where one cannot be read.
    """
    for records in _record_pages(pages, job):
        yield from map(_on_lines, batches(records))


def csv_lines(pages: PageStore, job: Job, *, with_bom: bool) -> Iterator[bytes]:
    """Return the records as a table with a header. Before it come as many pauses as it takes to find the columns.

    Raises JobNotFoundError as above, and InvalidRequestError when there are more columns than a table can have.
    """
    writer = TableWriter(Table(job.records_type, (yield from _columns(pages, job))))
    if with_bom:
        yield codecs.BOM_UTF8
    yield writer.header
    for records in _record_pages(pages, job):
        yield from writer.lines(records)


def _on_lines(records: list[bytes]) -> bytes:
    """Put each record on a line. HubSpot sends them so: looking at them all once takes a third of the time."""
    lines = b"\n".join([*records, b""])
    if lines.count(b"\n") == len(records) and b"\r" not in lines:
        return lines
    return b"".join(on_one_line(record) + b"\n" for record in records)


def _columns(pages: PageStore, job: Job) -> Generator[bytes, None, Columns]:
    """Find the columns of a job; that takes reading all of it, so they are kept until it is retried or removed."""
    kept = pages.summary(job)
    if kept is not None and (summary := decode(kept, _Summary)).rules == _RULES:
        return summary.columns
    survey = Survey()
    for records in _record_pages(pages, job):
        for record in records:
            survey.note(record)
        yield PAUSE
    columns = survey.columns()
    pages.keep_summary(job, msgspec.json.encode(_Summary(_RULES, columns)))
    return columns


def _record_pages(pages: PageStore, job: Job) -> Iterator[list[bytes]]:
    """Return the records that the job's results hold, page by page; a limit may cut a page short."""
    read = job.as_read
    left = read.progress.records
    for number, page in zip(read.page_numbers(range(read.progress.pages)), _pages(pages, read), strict=True):
        places = _places(read, number, page)[:left]
        left -= len(places)
        yield [record for record in places if record is not None]
    if left:
        raise JobNotFoundError


def _places(job: Job, number: int, page: Page) -> list[bytes | None]:
    try:
        return records_by_place(job.records_type, page)
    except PageUnreadableError as error:
        raise SpoiledPageError(job.job_id, number) from error


def _pages(pages: PageStore, job: Job) -> Iterator[Page]:
    places = range(job.progress.pages)
    for first in range(0, job.progress.pages, _PAGES_AT_ONCE):
        yield from pages.some(job.job_id, job.page_numbers(places[first : first + _PAGES_AT_ONCE]))
