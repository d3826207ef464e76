"""The lines of a download: a job's records as NDJSON, or as a table in CSV (RFC 4180)."""

from __future__ import annotations

import codecs
from collections.abc import Generator, Iterator
from enum import StrEnum

import msgspec

from api_shim.downloads.choice import columns_asked_for
from api_shim.downloads.layouts import layout_of
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
"""Not a line: there is nothing to send yet, and the work may be interrupted here."""

_PAGES_AT_ONCE = 8
_RULES = 1  # to be raised when the same records would get other columns


class DownloadFormat(StrEnum):
    """The file format of a download."""

    NDJSON = "ndjson"
    CSV = "csv"


class _Summary(msgspec.Struct, frozen=True):
    """The columns of a job, as they are cached with its pages, and the version of the rules that found them."""

    rules: int
    columns: Columns


def ndjson_lines(pages: PageStore, job: Job) -> Iterator[bytes]:
    """Yield every record as HubSpot sent it, one a line, in batches of lines.

    Raises JobNotFoundError if a page is missing, and SpoiledPageError if one cannot be read.
    """
    for records in _record_pages(pages, job):
        yield from map(_on_lines, batches(records))


def csv_lines(pages: PageStore, job: Job, *, with_bom: bool) -> Iterator[bytes]:
    """Yield the records as a table with a header, which follows as many pauses as it takes to find the columns.

    Where the request named properties, these are the columns (api_shim/downloads/choice.py).

    Raises what `ndjson_lines` raises, and InvalidRequestError if there are more columns than a table may have.
    """
    chosen = columns_asked_for(job)
    columns = chosen if chosen is not None else (yield from _columns(pages, job))
    writer = TableWriter(Table(job.records_type, columns, chosen=chosen is not None))
    if with_bom:
        yield codecs.BOM_UTF8
    yield writer.header
    for records in _record_pages(pages, job):
        yield from writer.lines(records)


def _on_lines(records: list[bytes]) -> bytes:
    # HubSpot sends records without line breaks: checking all at once takes a third of the time.
    lines = b"\n".join([*records, b""])
    if lines.count(b"\n") == len(records) and b"\r" not in lines:
        return lines
    return b"".join(on_one_line(record) + b"\n" for record in records)


def _columns(pages: PageStore, job: Job) -> Generator[bytes, None, Columns]:
    """Find the columns of a job, which takes reading all of it, so they are cached until it is retried or removed."""
    kept = pages.summary(job)
    if kept is not None and (summary := decode(kept, _Summary)).rules == _RULES:
        return summary.columns
    survey = Survey(layout_of(job.records_type))
    for records in _record_pages(pages, job):
        for record in records:
            survey.note(record)
        yield PAUSE
    columns = survey.columns()
    pages.keep_summary(job, msgspec.json.encode(_Summary(_RULES, columns)))
    return columns


def _record_pages(pages: PageStore, job: Job) -> Iterator[list[bytes]]:
    """Yield the records of the job's results page by page; the job's limit may cut a page short."""
    read = job.as_read
    remaining = read.progress.records
    for number, page in zip(read.page_numbers(range(read.progress.pages)), _pages(pages, read), strict=True):
        records = _records(read, number, page)[:remaining]
        remaining -= len(records)
        yield [record for record in records if record is not None]
    if remaining:
        raise JobNotFoundError


def _records(job: Job, number: int, page: Page) -> list[bytes | None]:
    try:
        return records_by_place(job.records_type, page)
    except PageUnreadableError as error:
        raise SpoiledPageError(job.job_id, number) from error


def _pages(pages: PageStore, job: Job) -> Iterator[Page]:
    indexes = range(job.progress.pages)
    for first in range(0, job.progress.pages, _PAGES_AT_ONCE):
        yield from pages.some(job.job_id, job.page_numbers(indexes[first : first + _PAGES_AT_ONCE]))
