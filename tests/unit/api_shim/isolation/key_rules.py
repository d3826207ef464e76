"""Rules about idempotency keys: everybody uses the same few, and nobody meets another's."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, multiple, rule

from tests.unit.api_shim.isolation.job_rules import JobRules, OwnedJob
from tests.unit.api_shim.isolation.world import NO_TOKEN, PEOPLE, TYPES, Person
from tests.unit.api_shim.shim import problem

KEYS = st.sampled_from(["key-1", "key-2"])
LIMITS = st.sampled_from([None, 7])
Request = tuple[str, int | None]


class KeyRules(JobRules):
    """What each person has asked under each key, and the job that came of it."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[Person, str], tuple[Request, OwnedJob]] = {}

    @rule(target=JobRules.jobs, person=PEOPLE, key=KEYS, export_type=TYPES, limit=LIMITS)
    def start_once(
        self, person: Person, key: str, export_type: str, limit: int | None
    ) -> OwnedJob | MultipleResults[OwnedJob]:
        self.shim.clock.advance(0.001)
        answer = self.ask(person, "POST", f"/export/{export_type}", {"limit": limit}, idempotency_key=key)
        asked, job = self.kept.get((person, key), (None, None))
        if job is not None:
            expected = 422 if asked != (export_type, limit) else 409 if job.is_gone else 200
            assert answer.status_code == expected
            assert expected != 200 or answer.json()["data"]["job_id"] == job.job_id
            return job
        if person not in self.connected:
            assert problem(answer) == NO_TOKEN
            return multiple()
        assert answer.status_code == 202, answer.text
        started = self.own(answer.json()["data"]["job_id"], person, export_type)
        self.kept[person, key] = (export_type, limit), started
        return started
