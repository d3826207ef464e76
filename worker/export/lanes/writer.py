"""LaneWriter: stores the pages of lanes, checkpoints all lanes together, and merges those that are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import Any

from worker.export.leased_job import LeasedJob
from worker.export.leases import StoredPage
from worker.jobs.job import Job
from worker.jobs.lanes import PAGES_A_LANE, Lane, Lanes
from worker.records.page import Page, first_records


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A lane before and after an answer of HubSpot; of the page that came with it, the first records are the lane's.

    `ids` are theirs, `asked_at` is when HubSpot was asked, on the monotonic clock.
    """

    before: Lane
    after: Lane
    page: Page
    ids: Sequence[int]
    asked_at: float


@dataclass(slots=True)
class _Backlog:
    """What is not checkpointed yet of a lane: one step, and the one that waits for it. `page` is as stored."""

    step: Step
    page: Page | None = None
    waiting: Step | None = None
    is_stored: bool = False


class LaneWriter:
    """Lets other threads do all writes, while one thread asks what is done and adds more.

    The job is checkpointed by one write at a time, with all lanes as they are stored then: lanes do not contend for it,
    and of a sync they change the current copy one page after the other. A lane's next page is stored when the one
    before it is checkpointed, so that a worker that dies leaves one stored page a lane to be fetched again.
    """

    def __init__(self, leased: LeasedJob, lanes: Lanes) -> None:
        self.lanes = lanes
        self._leased = leased
        self._backlogs: dict[int, _Backlog] = {}
        self._under_way: dict[Future[Any], Callable[[Any], None]] = {}
        self._is_checkpointing = False
        self._has_stored = False
        self._is_merging = False

    @property
    def under_way(self) -> Collection[Future[Any]]:
        """What other threads are doing now."""
        return self._under_way

    def is_full(self, lane: Lane) -> bool:
        """Whether a page of the lane is waiting already, so that no further one is to be fetched."""
        backlog = self._backlogs.get(lane.after)
        return backlog is not None and backlog.waiting is not None

    def add(self, step: Step) -> None:
        """Store what an answer brought, in its turn; the lanes continue from it at once."""
        self.lanes = self.lanes.with_lane(step.after)
        backlog = self._backlogs.get(step.before.after)
        if backlog is not None:
            backlog.waiting = step
        else:
            self._begin(step)

    def begin_writes(self, *, is_at_end: bool) -> None:
        """Begin what can be begun now: to merge a lane that is read, and to checkpoint what is stored."""
        if not self._is_merging:
            self._merge(is_at_end=is_at_end)
        if self._has_stored and not self._is_checkpointing:
            self._checkpoint_stored()

    def handle(self, future: Future[Any]) -> None:
        """Handle the result of a write that was under way. Raises what kept it from being done."""
        self._under_way.pop(future)(future.result())

    def await_writes(self) -> None:
        """Wait for all that is under way: the lease is released after the last write under it."""
        self._leased.tools.wait_for(self._under_way)

    def _begin(self, step: Step) -> None:
        backlog = self._backlogs[step.before.after] = _Backlog(step=step)
        if step.ids:
            self._do(self._write, self._leased.job, step, then=lambda written: self._after_write(backlog, *written))
        else:
            self._set_stored(backlog)

    def _write(self, job: Job, step: Step) -> tuple[Page, bool]:
        """Store the page; what of it is the next lane's is left to that."""
        tools, lane = self._leased.tools, step.before
        page = first_records(job.records_type, step.page, len(step.ids))
        self._leased.lease.require()
        return page, tools.pages.add(job, page, lane=lane, ids=step.ids)

    def _after_write(self, backlog: _Backlog, page: Page, was_there: bool) -> None:  # noqa: FBT001 - the store's word
        backlog.page = page
        if was_there:
            self._leased.apply(replace(self._leased.job, totals=self._leased.job.totals.after_refetch()))
        self._set_stored(backlog)

    def _set_stored(self, backlog: _Backlog) -> None:
        backlog.is_stored = self._has_stored = True

    def _checkpoint_stored(self) -> None:
        """Checkpoint what is stored, and that lanes were merged."""
        stored = {after: backlog for after, backlog in self._backlogs.items() if backlog.is_stored}
        lanes = replace(self.lanes, parts=tuple(map(self._as_stored, self.lanes.parts)))
        job = self._leased.job.in_lanes(lanes, at=self._leased.tools.clock())
        pages = [(backlog.page, backlog.step) for backlog in stored.values() if backlog.page is not None]
        self._is_checkpointing, self._has_stored = True, False
        self._do(
            self._checkpoint,
            job,
            pages,
            then=lambda checkpointed: self._after_checkpoint(checkpointed, lanes, list(stored)),
        )

    def _as_stored(self, lane: Lane) -> Lane:
        """Return a lane as far as its pages are stored."""
        backlog = self._backlogs.get(lane.after)
        if backlog is None or (backlog.is_stored and backlog.waiting is None):
            return lane
        stored = backlog.step.after if backlog.is_stored else backlog.step.before
        return replace(
            lane,
            read_through=stored.read_through,
            offset=stored.offset,
            api=stored.api,
            has_more=True,
            number=stored.number,
            pages=stored.pages,
            totals=stored.totals,
        )

    def _checkpoint(self, job: Job, pages: Sequence[tuple[Page, Step]]) -> Job:
        for page, step in pages if job.copying is not None else ():
            job = self._leased.tools.copy.apply_page(job, page, asked_at=step.asked_at)
        stored = [StoredPage(number=step.before.next_page, ids=step.ids) for _, step in pages]
        return self._leased.lease.count(job, stored, eraser=self._leased.tools.eraser)

    def _after_checkpoint(self, checkpointed: Job, lanes: Lanes, stored: Sequence[int]) -> None:
        """Continue with the job as it is stored; calls that were counted meanwhile are in the next checkpoint."""
        self._is_checkpointing = False
        job = self._leased.job.in_lanes(lanes, at=checkpointed.updated_at)
        self._leased.apply(replace(job, cancel_requested=checkpointed.cancel_requested, copying=checkpointed.copying))
        for after in stored:
            waiting = self._backlogs.pop(after).waiting
            if waiting is not None:
                self._begin(waiting)

    def _merge(self, *, is_at_end: bool) -> None:
        lane = self.lanes.next_to_merge(is_at_end=is_at_end)
        if lane is None or not {lane.after, self.lanes.first.after}.isdisjoint(self._backlogs):
            return
        self._is_merging = True
        self._do(self._close_lane, self._leased.job, lane, self.lanes.first, then=lambda _: self._after_merge())

    def _close_lane(self, job: Job, lane: Lane, first: Lane) -> None:
        """Close a lane that is read: its pages follow those before; the first one's can be read already."""
        if lane.number is None:
            return
        self._leased.lease.require()
        self._leased.tools.pages.cut(job, first=lane.next_page, end=lane.first_page + PAGES_A_LANE)
        if lane is not first:
            self._leased.tools.pages.close_lane(job, lane, before=first.records)

    def _after_merge(self) -> None:
        self._is_merging, self._has_stored = False, True
        self.lanes = self.lanes.with_merged()

    def _do(self, act: Callable[..., Any], *given: object, then: Callable[[Any], None]) -> None:
        self._under_way[self._leased.tools.storing.submit(copy_context().run, act, *given)] = then
