"""Syncer: a sync gets its children once, whatever is repeated or dies, and ends with them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from tests.fakes.connections import InMemoryConnectionStore
from tests.unit.worker.sweeping import Sweeps
from tests.unit.worker.workshop import LEASE_S, RECORDS, Interrupted, Workshop
from worker.accounts.connection import Refusal
from worker.accounts.interfaces import ConnectionStore
from worker.errors import (
    BrokerUnavailableError,
    ExportError,
    FatalHubSpotError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    StoreUnavailableError,
    TokenNotFoundError,
)
from worker.export.context import SliceLimits
from worker.jobs.job import Job
from worker.jobs.request import SyncRequest
from worker.jobs.status import JobKind, JobStatus
from worker.jobs.sync import new_children, new_sync
from worker.lifecycle.actions import JobActions
from worker.lifecycle.sync_starter import Syncer
from worker.records.types import CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, ExportType

TTL = timedelta(days=30)
QUIET_S, LOST_S = 60.0, 10.0


def add_sync(shop: Workshop, *types: ExportType) -> str:
    request = SyncRequest(types=types or tuple(DOCUMENTED_TYPES))
    shop.jobs.add(new_sync("s1", account_id="a1", owner="u1", request=request, at=shop.clock()))
    return "s1"


def syncer(shop: Workshop) -> Syncer:
    return Syncer(jobs=shop.jobs, queue=shop.queue, clock=shop.clock)


def control(shop: Workshop, connections: ConnectionStore | None = None) -> JobActions:
    return JobActions(
        jobs=shop.jobs,
        pages=shop.pages,
        queue=shop.queue,
        result_ttl=TTL,
        clock=shop.clock,
        connections=connections,
    )


def sweeper(shop: Workshop) -> Sweeps:
    chores = control(shop)
    return Sweeps(
        jobs=shop.jobs,
        queue=shop.queue,
        clock=shop.clock,
        duties=[partial(chores.recover_syncs, quiet_s=LOST_S, limit=500)],
        chores=[partial(chores.recover_interrupted, quiet_s=QUIET_S, limit=500)],
    )


def sync(shop: Workshop) -> Job:
    return shop.jobs.get("s1", account_id="a1")


def children(shop: Workshop) -> dict[ExportType, Job]:
    return {child.records_type: child for child in shop.jobs.children_of([sync(shop)])}


def work(shop: Workshop) -> None:
    """Process every message as workers do."""
    while shop.queue.length():
        job = shop.queue.take()
        if job.kind is JobKind.SYNC:
            syncer(shop).start(job.job_id)
        else:
            shop.exporter().run_slice(job.job_id)


def test_a_sync_exports_every_type_and_says_so(shop: Workshop) -> None:
    syncer(shop).start(add_sync(shop))
    work(shop)

    over = sync(shop)
    assert over.status is JobStatus.SUCCEEDED
    assert {child.status for child in children(shop).values()} == {JobStatus.SUCCEEDED}
    assert (over.progress.records, over.receipt is not None) == (
        sum(child.progress.records for child in children(shop).values()),
        True,
    )
    assert children(shop)[CONTACTS].progress.records == RECORDS


def test_a_sync_publishes_one_turn_and_for_nothing_when_its_message_comes_twice(shop: Workshop) -> None:
    add_sync(shop)

    for _ in range(3):
        syncer(shop).start("s1")

    assert len(shop.queue.published) == 1, "whoever claims a child publishes for the next"


def test_several_syncs_are_started_one_after_the_other(shop: Workshop) -> None:
    add_sync(shop, DEALS)
    another = new_sync("s2", account_id="a1", owner="u1", request=SyncRequest(types=(NOTES,)), at=shop.clock())
    shop.jobs.add(another)

    for sync_id in ("s1", "unknown", "s2"):
        syncer(shop).start(sync_id)

    assert [job.parent_id for job in shop.queue.published] == ["s1", "s2"]


@pytest.mark.parametrize("how", ["unknown", "cancelled", "deleted"])
def test_a_sync_that_is_gone_or_stopped_gets_no_children(shop: Workshop, how: str) -> None:
    if how != "unknown":
        add_sync(shop)
    if how == "cancelled":
        control(shop).cancel("s1", account_id="a1")
    if how == "deleted":
        control(shop).delete("s1", account_id="a1")

    syncer(shop).start("s1")

    assert shop.queue.published == []
    assert [job.kind for job in shop.jobs.all if job.kind is not JobKind.SYNC] == []


def test_a_sync_whose_message_was_lost_is_published(shop: Workshop) -> None:
    add_sync(shop)

    sweeper(shop).find_lost()
    work(shop)

    assert sync(shop).status is JobStatus.SUCCEEDED


def test_children_that_were_not_published_are_published(shop: Workshop) -> None:
    shop.queue.is_away = True
    with pytest.raises(BrokerUnavailableError):
        syncer(shop).start(add_sync(shop))
    assert len(children(shop)) == len(DOCUMENTED_TYPES)
    shop.queue.is_away = False

    sweeper(shop).sweep()
    work(shop)

    assert sync(shop).status is JobStatus.SUCCEEDED


def test_a_worker_that_is_killed_after_it_made_the_children_leaves_them_to_the_sweeper(shop: Workshop) -> None:
    class KilledError(BaseException):
        """What no code of ours catches."""

    class Killed:
        def publish(self, _: Job) -> None:
            raise KilledError

    with pytest.raises(KilledError):
        Syncer(jobs=shop.jobs, queue=Killed(), clock=shop.clock).start(add_sync(shop))

    sweeper(shop).find_lost()
    work(shop)

    assert sync(shop).status is JobStatus.SUCCEEDED
    assert len(shop.jobs.all) == 1 + len(DOCUMENTED_TYPES)


def test_with_the_database_away_nothing_is_done(shop: Workshop) -> None:
    add_sync(shop)
    shop.jobs.is_away = True

    with pytest.raises(StoreUnavailableError):
        syncer(shop).start("s1")

    assert shop.queue.published == []


def test_who_waits_for_a_sync_hears_that_it_runs_and_that_it_has_ended(shop: Workshop) -> None:
    syncer(shop).start(add_sync(shop, CONTACTS))

    work(shop)

    assert shop.news.told == [JobStatus.RUNNING] * 2 + [JobStatus.SUCCEEDED] * 2


def test_a_part_whose_scope_is_missing_fails_by_name_before_any_call(shop: Workshop) -> None:
    shop.scopes.lacking[DEALS] = ("crm.objects.deals.read", "another")
    syncer(shop).start(add_sync(shop))

    work(shop)

    over, deals = sync(shop), children(shop)[DEALS]
    assert shop.calls("deals") == 0
    assert deals.error is not None
    assert (deals.error.code, deals.error.details) == (
        "missing_scopes",
        "One of these scopes is needed: crm.objects.deals.read, another",
    )
    assert over.error is not None
    assert over.error.message == (
        "1 of 4 exports failed: deals: The connection lacks the scope that HubSpot wants for deals (missing_scopes)"
    )
    others = {each.status for name, each in children(shop).items() if name is not DEALS}
    assert (over.status, others) == (JobStatus.FAILED, {JobStatus.SUCCEEDED})


def test_a_part_that_has_its_scope_by_now_goes_on_after_a_retry(shop: Workshop) -> None:
    shop.scopes.lacking[CONTACTS] = ("crm.objects.contacts.read",)
    syncer(shop).start(add_sync(shop, CONTACTS))
    work(shop)
    shop.scopes.lacking.clear()

    control(shop).retry("s1", account_id="a1")
    work(shop)

    assert sync(shop).status is JobStatus.SUCCEEDED


@pytest.mark.parametrize(
    "error", [FatalHubSpotError("no"), RetryableHubSpotError("later"), StoreUnavailableError(), TokenNotFoundError()]
)
def test_where_scopes_cannot_be_found_out_hubspot_is_simply_asked(shop: Workshop, error: ExportError) -> None:
    shop.scopes.error = error
    syncer(shop).start(add_sync(shop, CONTACTS))

    work(shop)

    assert (sync(shop).status, shop.scopes.asked) == (JobStatus.SUCCEEDED, 1)


def test_scopes_are_looked_at_once_and_for_syncs_alone(shop: Workshop) -> None:
    shop.exporter().run_slice(shop.add_job())
    assert shop.scopes.asked == 0

    syncer(shop).start(add_sync(shop, CONTACTS))
    child_id = shop.queue.take().job_id
    shop.exporter(limits=SliceLimits(pages=2)).run_slice(child_id)
    shop.exporter().run_slice(child_id)

    assert shop.scopes.asked == 1


def test_all_of_a_sync_ends_together_counted_from_the_last(shop: Workshop) -> None:
    syncer(shop).start(add_sync(shop, CONTACTS, DEALS))
    shop.exporter().run_slice(shop.queue.take().job_id)
    assert children(shop)[CONTACTS].expires_at is None
    shop.clock.advance(100)
    work(shop)

    at = shop.clock() + TTL
    assert sync(shop).expires_at == at
    assert {child.expires_at for child in children(shop).values()} == {at}
    assert shop.pages.expiries(children(shop)[CONTACTS].job_id) == {at}


def test_a_child_that_ended_with_its_worker_is_followed_by_the_sweeper(shop: Workshop) -> None:
    syncer(shop).start(add_sync(shop, CONTACTS))
    child = shop.jobs.claim(shop.queue.take().job_id, worker="w1", lease_s=LEASE_S, at=shop.clock())
    assert child is not None
    shop.jobs.note_start(child, at=shop.clock())
    shop.jobs.release(child.succeed(at=shop.clock()))  # and is killed
    assert sync(shop).status is JobStatus.RUNNING

    shop.clock.advance(LOST_S + 1)
    sweeper(shop).sweep()
    assert (sync(shop).status, sync(shop).expires_at) == (JobStatus.SUCCEEDED, None)

    shop.clock.advance(QUIET_S)
    sweeper(shop).sweep()
    assert sync(shop).receipt is not None
    assert sync(shop).expires_at == children(shop)[CONTACTS].expires_at is not None


def test_a_sync_whose_end_a_worker_took_with_it_gets_it_from_the_sweeper(shop: Workshop) -> None:
    syncer(shop).start(add_sync(shop, CONTACTS))
    work(shop)
    shop.jobs.reopen(sync(shop))
    shop.jobs.follow("s1")  # and is killed
    assert (sync(shop).status, sync(shop).expires_at) == (JobStatus.SUCCEEDED, None)

    shop.clock.advance(QUIET_S + 1)
    sweeper(shop).sweep()

    assert sync(shop).expires_at is not None


def test_a_retry_that_was_interrupted_leaves_a_sync_that_is_as_its_children_are(shop: Workshop) -> None:
    syncer(shop).start(add_sync(shop, CONTACTS))
    control(shop).cancel("s1", account_id="a1")
    shop.jobs.reopen(sync(shop))  # and is killed
    shop.clock.advance(LOST_S + 1)

    sweeper(shop).sweep()

    assert sync(shop).status is JobStatus.CANCELLED
    assert control(shop).retry("s1", account_id="a1").status is JobStatus.QUEUED


@pytest.mark.parametrize("how", ["cancelled", "deleted"])
def test_children_that_were_left_over_remove_themselves_without_a_call(shop: Workshop, how: str) -> None:
    stale = shop.jobs.find(add_sync(shop))
    assert stale is not None
    act = control(shop).cancel if how == "cancelled" else control(shop).delete
    act("s1", account_id="a1")
    made = new_children(stale, at=shop.clock())

    assert not shop.jobs.expand(stale, made)  # by a worker that was frozen meanwhile
    for child in made:
        shop.exporter().run_slice(child.job_id)

    assert [shop.jobs.find(child.job_id) for child in made] == [None] * len(made)
    assert shop.calls() == 0


def test_a_child_that_is_at_work_when_its_sync_is_deleted_stops_and_goes(shop: Workshop) -> None:
    syncer(shop).start(add_sync(shop, CONTACTS))
    child_id = shop.queue.take().job_id
    delete = partial(shop.jobs.start_removal, sync(shop))
    source = Interrupted(shop.source, after_call=1, happening=delete)
    shop.exporter(source=source, limits=SliceLimits(pages=2)).run_slice(child_id)
    calls = shop.calls()

    shop.exporter().run_slice(child_id)

    assert (shop.jobs.find(child_id), shop.pages.count(child_id)) == (None, 0)
    assert shop.calls() == calls


@pytest.mark.parametrize("which", ["sync", "child"])
def test_a_retry_gives_a_refused_token_another_chance(shop: Workshop, which: str) -> None:
    refusal = Refusal(reason="revoked", since=shop.clock(), asked_at=shop.clock(), token="print", client_id="app")
    connections = InMemoryConnectionStore()
    connections.refuse("a1", "u1", refusal)
    syncer(shop).start(add_sync(shop, CONTACTS))
    child_id = shop.queue.take().job_id
    held = shop.jobs.claim(child_id, worker="w1", lease_s=LEASE_S, at=shop.clock())
    assert held is not None
    shop.jobs.release(held.fail(ReconnectRequiredError("revoked"), at=shop.clock()))
    shop.jobs.follow("s1")

    control(shop, connections).retry("s1" if which == "sync" else child_id, account_id="a1")

    known = connections.find("a1", "u1")
    assert known is not None
    assert known.refusal == replace(refusal, asked_at=None)


def test_the_pages_of_all_children_stay_when_one_of_them_is_retried(shop: Workshop) -> None:
    syncer(shop).start(add_sync(shop, CONTACTS, DEALS))
    shop.exporter().run_slice(shop.queue.take().job_id)
    control(shop).cancel(children(shop)[DEALS].job_id, account_id="a1")
    shop.queue.take()
    contacts = children(shop)[CONTACTS]
    assert shop.pages.expiries(contacts.job_id) == {contacts.expires_at} != {None}

    control(shop).retry("s1", account_id="a1")
    shop.clock.advance(10)
    work(shop)

    again = children(shop)[CONTACTS]
    assert again.expires_at == shop.clock() + TTL
    assert shop.pages.expiries(again.job_id) == {again.expires_at}
