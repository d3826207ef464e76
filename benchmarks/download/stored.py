"""Stores a finished export without running one: its pages and its job, as a worker would have left them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from benchmarks.stacks import ACCOUNT
from sandbox.fake_hubspot.records.record_counts import TYPES, RecordSet
from sandbox.fake_hubspot.records.renderer import Renderer, Templates
from sandbox.fake_hubspot.records.shape import Shape
from worker.jobs.job import Job, Progress
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.progress import Retention
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobKind, JobStatus
from worker.mongo.database import MongoDatabase
from worker.pages.mongo.pages import MongoPageStore
from worker.records.page import Page
from worker.records.registry import OBJECT_TYPES
from worker.records.types import NOTES, ExportType

_SHAPE = Shape(every_property=True, linkable=("contacts", "companies", "deals"), associations=("contacts", "companies"))
_WRITERS = 4


def store_export(database: MongoDatabase, export_type: ExportType, records: int) -> Job:
    """Store an export of so many records, with every property they have, in the largest pages there are."""
    size = OBJECT_TYPES[export_type].page.most_records
    job, store, body_of = _finished_job(export_type, size), MongoPageStore(database), _bodies(export_type, records)

    def add(first: int) -> None:
        numbers = range(first, min(first + size, records))
        before = replace(job, progress=Progress(pages=first // size, records=first))
        store.add(before, Page(body=body_of(numbers), records=len(numbers), has_more=numbers.stop < records, offset=1))

    with ThreadPoolExecutor(_WRITERS) as pool:
        list(pool.map(add, range(0, records, size)))
    ended = replace(job, progress=Progress(pages=-(-records // size), records=records, has_more=False))
    MongoJobStore(database).add(ended)
    return ended


def _finished_job(export_type: ExportType, page_size: int) -> Job:
    now = datetime.now(UTC)
    return Job(
        job_id=str(uuid4()),
        account_id=ACCOUNT.account_id,
        owner=ACCOUNT.owner,
        export_type=export_type,
        request=ExportRequest(page_size=page_size),
        kind=JobKind.EXPORT,
        status=JobStatus.SUCCEEDED,
        created_at=now,
        updated_at=now,
        finished_at=now,
        retention=Retention.until(now + timedelta(days=1)),
    )


def _bodies(export_type: ExportType, records: int) -> Callable[[Sequence[int]], bytes]:
    """Return a function that renders a page body of the fake HubSpot for record indexes."""
    name = "engagements" if export_type is NOTES else export_type
    renderer = Renderer(ACCOUNT.hub_id, {each: RecordSet(each, count=records, seed=1) for each in TYPES}, Templates())
    keys = OBJECT_TYPES[export_type].page
    frame = b'{"%b":[%%b],"%b":true,"%b":1}' % tuple(
        key.encode() for key in (keys.list_key, keys.more_key, keys.offset_key)
    )
    return lambda numbers: frame % b",".join(renderer.render(name, numbers, _SHAPE))
