"""Calculated properties change without a modification, which no incremental run sees: a schedule's answer says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from api_shim.auth.jwt import Caller
from api_shim.requests.schemas import ScheduleBody
from api_shim.responses.schedules import ScheduleAnswer
from api_shim.services.schedules import ScheduleService, Standing
from tests.fakes.clock import ManualClock
from tests.fakes.schedules import InMemoryScheduleStore
from tests.fakes.tokens import InMemoryTokenStore
from tests.unit.api_shim.shim import token_of
from worker.records.types import CONTACTS, DEALS, ExportType
from worker.schedules.schedule import Schedule

CALLER = Caller(account_id="a1", uid="u1", scopes=frozenset())


class NoObstacles:
    """ConnectionObstacles of a connection that works."""

    def obstacles(self, keys: object) -> Mapping[tuple[str, str], str]:  # noqa: ARG002 - the seam's
        return {}


def calculated(_: Schedule) -> Mapping[ExportType, Sequence[str]]:
    return {CONTACTS: ["days_open", "score"], DEALS: []}


def put(**wanted: object) -> Standing:
    clock, tokens = ManualClock(), InMemoryTokenStore()
    tokens.put(token_of("a1", "u1"))
    service = ScheduleService(
        schedules=InMemoryScheduleStore(clock),
        tokens=tokens,
        connections=NoObstacles(),
        jitter_window_s=0,
        clock=clock,
        calculated=calculated,
    )
    body = ScheduleBody.model_validate({"cron": "0 3 * * *", "timezone": "UTC", **wanted})
    return service.put(CALLER, body, webhook=None)[0]


def test_it_names_what_an_incremental_schedule_would_not_see_change() -> None:
    standing = put(mode="incremental")
    (warning,) = standing.warnings
    assert warning.startswith("HubSpot calculates days_open, score of contacts, ")
    assert ScheduleAnswer.of(standing, message="").model_dump()["data"]["warnings"] == [warning]


@pytest.mark.parametrize("wanted", [{"mode": "full"}, {"mode": "incremental", "full_every": "7d"}])
def test_runs_that_read_all_records_see_it(wanted: dict[str, object]) -> None:
    standing = put(**wanted)
    assert not standing.warnings
    assert "warnings" not in ScheduleAnswer.of(standing, message="").model_dump()["data"]
