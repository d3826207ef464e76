"""Rules about jobs: started, followed, read, stopped, retried and removed, by those whose they are and those not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, MultipleResults, invariant, multiple, rule

from tests.unit.api_shim.hubspot_pages import body_of, id_of
from tests.unit.api_shim.isolation.world import NO_TOKEN, PEOPLE, TYPES, UNKNOWN_JOB, Person, World
from tests.unit.api_shim.shim import BASE_PATH, Json, problem
from worker.errors import FatalHubSpotError
from worker.jobs.job import Job
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

ENDED = {"succeeded", "failed", "cancelled"}
STATUSES = st.sampled_from(["", "queued", "running", "succeeded,failed", "cancelled"])
ANY_TYPE = st.sampled_from(["", "contacts", "deals"])
NUMBERS = st.integers(0, 3)


@dataclass
class OwnedJob:
    """A job as it has to be."""

    job_id: str
    owner: Person
    export_type: str
    status: str = "queued"
    records: list[int] = field(default_factory=list)
    held: Job | None = None
    is_gone: bool = False

    def is_visible_to(self, person: Person) -> bool:
        return person.account == self.owner.account and not self.is_gone


class JobRules(World):
    """Jobs of everybody, each in the state that follows from what its account and the worker have done to it."""

    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.owned: list[OwnedJob] = []

    def own(self, job_id: str, owner: Person, export_type: str) -> OwnedJob:
        """Note a job that was started; its id is new, and a secret."""
        assert job_id not in {job.job_id for job in self.owned}
        job = OwnedJob(job_id, owner, export_type)
        self.owned.append(job)
        self.is_secret_of(owner, job_id)
        return job

    # What people do

    @rule(target=jobs, person=PEOPLE, export_type=TYPES)
    def start(self, person: Person, export_type: str) -> OwnedJob | MultipleResults[OwnedJob]:
        label = f"label-{self.account_id(person)}-{len(self.owned)}"
        self.is_secret_of(person, label)
        self.shim.clock.advance(0.001)
        answer = self.ask(person, "POST", f"/export/{export_type}", {"label": label})
        if person not in self.connected:
            assert problem(answer) == NO_TOKEN
            return multiple()
        assert answer.status_code == 202, answer.text
        return self.own(answer.json()["data"]["job_id"], person, export_type)

    @rule(person=PEOPLE, job=jobs, prefer=st.sampled_from(["", "wait=0"]))
    def show(self, person: Person, job: OwnedJob, prefer: str) -> None:
        answer = self.ask(person, "GET", f"/jobs/{job.job_id}", prefer=prefer)
        if not self._is_refused_as_unknown(person, job, answer):
            self._require(answer.json()["data"], job)

    @rule(person=PEOPLE, status=STATUSES, export_type=ANY_TYPE, limit=st.integers(1, 5))
    def list_jobs(self, person: Person, status: str, export_type: str, limit: int) -> None:
        query = f"/jobs?status={status}&type={export_type}&limit={limit}"
        page = self.asked(person, "GET", query)
        found = page["data"]
        while page["pagination"]["hasMore"]:
            page = self.asked(person, "GET", f"{query}&cursor={page['pagination']['cursor']}")
            found += page["data"]
        theirs = [job for job in reversed(self.owned) if job.is_visible_to(person)]
        wanted = [job for job in theirs if not status or job.status in status.split(",")]
        expected = [job for job in wanted if not export_type or job.export_type == export_type]
        assert [each["job_id"] for each in found] == [job.job_id for job in expected]

    @rule(person=PEOPLE, job=jobs)
    def read_results(self, person: Person, job: OwnedJob) -> None:
        answer = self.ask(person, "GET", f"/jobs/{job.job_id}/results?limit=1000")
        if not self._is_refused_as_unknown(person, job, answer):
            assert _ids_in(job, answer.json()["data"][_list_key(job)]) == job.records

    @rule(person=PEOPLE, job=jobs)
    def download(self, person: Person, job: OwnedJob) -> None:
        answer = self.ask(person, "GET", f"/jobs/{job.job_id}/download")
        if self._is_refused_as_unknown(person, job, answer):
            return
        if job.status not in ENDED:
            assert answer.status_code == 409
            return
        lines = answer.text.splitlines()
        assert _ids_in(job, [json.loads(line) for line in lines]) == job.records

    @rule(person=PEOPLE, job=jobs)
    def cancel(self, person: Person, job: OwnedJob) -> None:
        answer = self.ask(person, "POST", f"/jobs/{job.job_id}/cancel")
        if self._is_refused_as_unknown(person, job, answer):
            return
        assert answer.status_code == (409 if job.status in ENDED else 202)
        if job.status == "queued":
            job.status = "cancelled"

    @rule(person=PEOPLE, job=jobs)
    def retry(self, person: Person, job: OwnedJob) -> None:
        answer = self.ask(person, "POST", f"/jobs/{job.job_id}/retry")
        if self._is_refused_as_unknown(person, job, answer):
            return
        is_possible = job.status in {"failed", "cancelled"}
        assert answer.status_code == (202 if is_possible else 409)
        job.status = "queued" if is_possible else job.status

    @rule(person=PEOPLE, job=jobs)
    def delete(self, person: Person, job: OwnedJob) -> None:
        answer = self.ask(person, "DELETE", f"/jobs/{job.job_id}")
        if self._is_refused_as_unknown(person, job, answer):
            return
        job.is_gone = job.status != "running"
        assert answer.status_code == (204 if job.is_gone else 409)

    # What the worker does

    @rule(job=jobs, number=NUMBERS)
    def resume(self, job: OwnedJob, number: int) -> None:
        if job.status == "queued" and not job.is_gone:
            job.held, job.status = self.shim.worker.start(job.job_id), "running"
            self._store(job, number, offset=len(self.owned) * 1000 + len(job.records) + 1)

    @rule(job=jobs, number=NUMBERS)
    def finish(self, job: OwnedJob, number: int) -> None:
        if job.held is not None and job.status == "running":
            self._store(job, number, offset=None)

    @rule(job=jobs)
    def fail(self, job: OwnedJob) -> None:
        if job.held is not None and job.status == "running":
            self.shim.worker.fail(job.held, FatalHubSpotError("No", status=403))
            job.held, job.status = None, "failed"

    @invariant()
    def every_job_is_in_one_account(self) -> None:
        """Whatever happened last, the newest job is visible to its own account and to nobody else."""
        for job in self.owned[-1:]:
            for account in range(3):
                person = Person(account, 0)
                answer = self.ask(person, "GET", f"/jobs/{job.job_id}")
                assert answer.status_code == (200 if job.is_visible_to(person) else 404)

    def _store(self, job: OwnedJob, number: int, *, offset: int | None) -> None:
        assert job.held is not None
        ids = self.new_record_ids(job.owner, number)
        job.held = self.shim.worker.store(job.held, body_of(job.export_type, ids, offset=offset))
        job.records += ids
        job.status = job.held.status.value
        if job.status in ENDED:
            job.held = None

    def _is_refused_as_unknown(self, person: Person, job: OwnedJob, answer: httpx.Response) -> bool:
        """Whether the job is none of the person's; then the answer is that to a job that never was."""
        if job.is_visible_to(person):
            return False
        assert problem(answer) == UNKNOWN_JOB
        return True

    def _require(self, shown: Json, job: OwnedJob) -> None:
        assert (shown["job_id"], shown["status"], shown["type"]) == (job.job_id, job.status, job.export_type)
        assert shown["progress"]["records"] == len(job.records)
        assert shown["links"]["self"] == f"{BASE_PATH}/jobs/{job.job_id}"


def _list_key(job: OwnedJob) -> str:
    return OBJECT_TYPES[ExportType(job.export_type)].page.list_key


def _ids_in(job: OwnedJob, records: Sequence[Json]) -> list[object]:
    return [id_of(job.export_type, record) for record in records]
