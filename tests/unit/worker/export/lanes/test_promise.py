"""What is promised of an export in lanes, whatever becomes of its records and its workers meanwhile.

HubSpot is a model that creates, changes and deletes contacts between two calls. Calls and writes are done in any order,
and a worker may be gone at any moment, what it has under way done or not. All of it follows from the seed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import get_args

import msgspec
import pytest

from sandbox.fake_hubspot.records.cursors import CursorForm
from tests.fakes.executor import HeldTasks, PowerCutError
from tests.unit.worker.model_hubspot import ModelHubSpot
from tests.unit.worker.workshop import LEASE_S, Workshop
from worker.current_copy.record import Shown
from worker.export.context import SliceLimits
from worker.jobs.job import Job
from worker.jobs.status import JobStatus
from worker.records.types import CONTACTS, CopyId

PAGE = 5
RUNS = range(24)


@dataclass
class Run:
    """One job, worked on until it ends. `lost` is how many calls workers that died may have taken with them."""

    shop: Workshop
    hubspot: ModelHubSpot
    dice: random.Random
    is_sync: bool
    deaths: float
    job_id: str = "j1"
    lost: int = 0
    is_shrinking: bool = False

    def work(self) -> None:
        self.job_id = self.shop.add_sync(page_size=PAGE) if self.is_sync else self.shop.add_job(page_size=PAGE)
        readable = 0
        while not self.job.status.is_terminal:
            self.run_slice()
            job = self.job
            self.is_shrinking |= job.readable < readable and job.unsplit_because is None
            readable = job.readable
            assert len(self.results()) >= readable

    @property
    def job(self) -> Job:
        return self.shop.job(self.job_id)

    def run_slice(self) -> None:
        lanes = self.dice.choice([2, 4, 9])
        gone_after = self.dice.randrange(60) if self.dice.random() < self.deaths else None
        tasks = HeldTasks(self.dice, on_pause=self.shop.clock.advance, gone_after=gone_after)
        limits = SliceLimits(pages=self.dice.choice([2, 10, 100]), seconds=20, most_abandoned_leases=1000)
        exporter = self.shop.exporter(source=self.hubspot, limits=limits, tasks=tasks, lanes=lanes)
        try:
            exporter.run_slice(self.job_id)
        except PowerCutError:
            self.lost += 3 * lanes
            self.shop.clock.advance(LEASE_S + 1)

    def results(self) -> list[tuple[int, int]]:
        """Return what who reads the results finds: ids, and how often each contact had been changed."""
        found = self.shop.pages.read(self.job_id, CONTACTS, start=0, limit=10**6)
        return [(record["vid"], record["version"]) for record in map(msgspec.json.decode, found.records)]


@pytest.fixture
def run(shop: Workshop, seed: int) -> Run:
    forms: tuple[CursorForm, ...] = get_args(CursorForm)
    dice = random.Random(seed)  # noqa: S311 - the same for the same seed
    contacts, unrest = dice.choice([3, 49, 60, 120, 300, 600]), dice.choice([0, 0.1, 0.6])
    hubspot = ModelHubSpot(dice, contacts=contacts, unrest=unrest, form=forms[seed % len(forms)])
    return Run(shop, hubspot, dice, is_sync=dice.random() < 0.3, deaths=dice.choice([0, 0.3, 0.8]))


@pytest.mark.parametrize("seed", RUNS)
def test_every_record_is_there_once_as_it_was_at_some_moment_of_the_export(run: Run) -> None:
    run.work()

    job, found, hubspot = run.job, dict(run.results()), run.hubspot
    assert job.status is JobStatus.SUCCEEDED
    assert [vid for vid, _ in run.results()] == sorted(found)  # in order, and none of them twice
    assert all(version in hubspot.contacts[vid].versions(calls=hubspot.calls) for vid, version in found.items())
    assert all(hubspot.contacts[vid].deleted != 0 for vid in found)
    assert {contact.vid for contact in hubspot.present() if contact.created < hubspot.end_found_by} <= found.keys()

    proof = job.receipt
    assert proof is not None
    assert (proof.complete, proof.incomplete_because) == (True, None)
    assert job.progress.records == job.readable == proof.records == proof.distinct_ids == len(found)
    assert job.progress.pages == proof.pages == run.shop.pages.count(job.job_id)
    assert job.stored_bytes >= sum(
        len(page.body) for page in run.shop.pages.all(job.job_id)
    )  # whole pages, as they came
    assert [page.records for page in run.shop.pages.some(job.job_id, job.page_numbers(range(proof.pages)))].count(
        0
    ) <= 1
    assert (proof.offsets.closed, job.lanes, run.is_shrinking) == (True, None, False)
    if run.is_sync:
        copied = run.shop.records.read(
            CopyId(account_id="a1", export_type=CONTACTS),
            shown=Shown.LIVING,
            since=None,
            after=None,
            limit=9999,
        )
        assert {record.record_id for record in copied} == found.keys()
        assert job.changes is not None
        assert (job.changes.created, job.changes.deleted) == (len(found), 0)
    if job.unsplit_because is None:
        assert hubspot.calls - proof.pages <= 2 + 0.06 * proof.pages + run.lost
