"""JobStore: in whatever order jobs are added, claimed, released and swept, the fake and the real one answer alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.contract.stores import InMemoryWorld, JobWorld, MongoWorld, new_job, present
from tests.fakes.clock import ManualClock
from tests.fakes.stores import InMemoryJobStore
from worker.errors import ErasureAskedError, FatalHubSpotError, JobNotFoundError, LeaseLostError
from worker.jobs.interfaces import JobQuery
from worker.jobs.job import Job
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.jobs import MongoJobStore
from worker.jobs.status import IllegalChangeError, JobKind, Line
from worker.jobs.turn import AccountTurn
from worker.mongo.database import MongoDatabase
from worker.records.page import Page
from worker.records.types import CONTACTS, CopyId

LONG_S = 10_000.0  # a lease, or a wait: the seconds that a slow machine takes are nothing to it
PAGE = Page(body=b"{}", records=3, has_more=True, offset=77)
ACCOUNTS = st.sampled_from(["a1", "a2"])
LINES = st.sampled_from([Line.BULK, Line.INTERACTIVE])


@dataclass
class Side:
    """One of the two stores, and what its workers know of the jobs that they have claimed, be it out of date."""

    world: JobWorld
    known: dict[str, Job] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.world.store.now()

    def claim(self, job_id: str, worker: str) -> Job | None:
        return self._held(self.world.store.claim(job_id, worker=worker, lease_s=LONG_S, at=self.now()))

    def claim_next(self, account_id: str, line: Line, worker: str) -> Job | None:
        turn = AccountTurn(account_id=account_id, line=line)
        return self._held(self.world.store.claim_next(turn, worker=worker, lease_s=LONG_S, at=self.now()))

    def _held(self, job: Job | None) -> Job | None:
        if job is not None:
            self.known[job.job_id] = job
        return job

    def checkpoint(self, job_id: str, *, unless_marked: bool) -> bool:
        moved = self.known[job_id].advance(PAGE, at=self.now())
        is_cancelled = self.world.store.checkpoint(moved, lease_s=LONG_S, unless_marked=unless_marked)
        self.known[job_id] = moved
        return is_cancelled

    def release(self, job_id: str, how: str) -> None:
        job, at, store = self.known[job_id], self.now(), self.world.store
        match how:
            case "requeued":
                store.release(job)
            case "waiting":
                store.release(job.wait(LONG_S, reason="rate_limit", at=at), resume_in_s=LONG_S)
            case "succeeded":
                store.release(job.succeed(at=at))
            case "failed":
                store.release(job.fail(FatalHubSpotError("no"), at=at))
            case "dropped":
                store.drop(job)

    def cancel(self, job_id: str) -> bool:
        job = self.world.store.get(job_id, account_id=account_of(job_id, self.world))
        return self.world.store.change(job, job.cancel(at=self.now()))

    def remove(self, job_id: str) -> bool:
        job = self.world.store.get(job_id, account_id=account_of(job_id, self.world))
        return self.world.store.start_removal(job)


def account_of(job_id: str, world: JobWorld) -> str:
    found = world.store.find(job_id)
    return found.account_id if found is not None else "nobody"


def seen(answer: object) -> object:
    """Leave out of jobs what the two clocks make differ: of an instant it counts whether there is one."""
    if isinstance(answer, list):
        return [seen(each) for each in answer]
    if not isinstance(answer, Job):
        return answer
    values = {each.name: getattr(answer, each.name) for each in fields(answer)}
    return {name: True if isinstance(value, datetime) else value for name, value in values.items()}


class StoresAlike(RuleBasedStateMachine):
    """Both stores, of which everything is asked in turn."""

    open_database: ClassVar[Callable[[], MongoDatabase]]  # Hypothesis would take a database for rules
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        database = type(self).open_database()
        database[COLLECTION].delete_many({})
        clock = ManualClock(present())
        fake = InMemoryWorld(clock, InMemoryJobStore(clock))
        self.sides = [Side(fake), Side(MongoWorld(database, MongoJobStore(database)))]

    def alike(self, act: Callable[[Side], object]) -> None:
        """Do the same on both sides, and let a second pass: what is done one after the other has that order."""
        answers = []
        for side in self.sides:
            try:
                answers.append(seen(act(side)))
            except (LeaseLostError, ErasureAskedError, JobNotFoundError, IllegalChangeError) as error:
                answers.append(type(error))
            side.world.let_pass(1)
        assert answers[0] == answers[1]

    @rule(target=jobs, account_id=ACCOUNTS, kind=st.sampled_from([JobKind.EXPORT, JobKind.PAGE]))
    def add(self, account_id: str, kind: JobKind) -> str:
        job = replace(new_job(account_id=account_id), kind=kind)
        self.alike(lambda side: side.world.store.add(replace(job, created_at=side.now(), updated_at=side.now())))
        return job.job_id

    @rule(job_id=jobs)
    def add_again(self, job_id: str) -> None:
        self.alike(lambda side: side.world.store.add_all([replace(new_job(), job_id=job_id, label="another")]))

    @rule(job_id=jobs, worker=st.sampled_from(["w1", "w2"]))
    def claim(self, job_id: str, worker: str) -> None:
        self.alike(lambda side: side.claim(job_id, worker))

    @rule(account_id=ACCOUNTS, line=LINES)
    def claim_next(self, account_id: str, line: Line) -> None:
        self.alike(lambda side: side.world.store.next_due(account_id, line))
        self.alike(lambda side: side.claim_next(account_id, line, "w3"))

    @rule(job_id=jobs, unless_marked=st.booleans())
    def checkpoint(self, job_id: str, unless_marked: bool) -> None:  # noqa: FBT001 - drawn
        if job_id in self.sides[0].known:
            self.alike(lambda side: side.checkpoint(job_id, unless_marked=unless_marked))

    @rule(job_id=jobs)
    def renew(self, job_id: str) -> None:
        if job_id in self.sides[0].known:
            self.alike(lambda side: side.world.store.renew(side.known[job_id], lease_s=LONG_S))

    @rule(job_id=jobs, how=st.sampled_from(["requeued", "waiting", "succeeded", "failed", "dropped"]))
    def release(self, job_id: str, how: str) -> None:
        if job_id in self.sides[0].known:
            self.alike(lambda side: side.release(job_id, how))

    @rule(job_id=jobs, worker=st.sampled_from(["w1", "w2"]))
    def withdraw_claim(self, job_id: str, worker: str) -> None:
        self.alike(lambda side: side.world.store.withdraw_claim(job_id, worker=worker))

    @rule(job_id=jobs)
    def request_cancel(self, job_id: str) -> None:
        if job_id in self.sides[0].known:
            self.alike(lambda side: side.world.store.request_cancel(side.known[job_id]))

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        self.alike(lambda side: side.cancel(job_id))

    @rule(job_id=jobs)
    def remove(self, job_id: str) -> None:
        self.alike(lambda side: side.remove(job_id))

    @rule(account_id=ACCOUNTS)
    def mark_leases(self, account_id: str) -> None:
        copy = CopyId(account_id=account_id, export_type=CONTACTS)
        self.alike(lambda side: side.world.store.mark_leases(copy))

    @rule(job_id=jobs)
    def mark_unpublished(self, job_id: str) -> None:
        self.alike(lambda side: side.world.store.mark_unpublished([replace(new_job(), job_id=job_id)]))

    @rule()
    def much_time_passes(self) -> None:
        for side in self.sides:
            side.world.let_pass(2 * LONG_S)

    @rule(most=st.integers(0, 2), line=LINES)
    def sweep(self, most: int, line: Line) -> None:
        far = timedelta(days=1)
        self.alike(lambda side: set(side.world.store.take_due(limit=100)))
        self.alike(lambda side: set(side.world.store.take_lost({line: side.now() + far}, most=most, limit=100)))

    @invariant()
    def all_jobs_are_alike(self) -> None:
        for account_id in ("a1", "a2"):
            wanted = JobQuery(account_id=account_id, limit=100)
            fake, real = (seen(side.world.store.newest(wanted)) for side in self.sides)
            assert fake == real


def test_whatever_is_done_with_jobs_both_stores_answer_alike(mongo_database: MongoDatabase) -> None:
    MongoJobStore(mongo_database).ensure_indexes()
    StoresAlike.open_database = staticmethod(lambda: mongo_database)
    examples = settings().max_examples // 3
    health = [HealthCheck.too_slow, HealthCheck.data_too_large]

    run_state_machine_as_test(
        StoresAlike,
        settings=settings(
            max_examples=examples, stateful_step_count=30, suppress_health_check=health, phases=[Phase.generate]
        ),
    )
