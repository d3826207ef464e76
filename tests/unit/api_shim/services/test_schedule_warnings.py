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
from tests.unit.api_shim.kept_definitions import connect, keep, list_of
from tests.unit.api_shim.shim import Shim, token_of
from worker.definitions.definition import PropertyDefinition
from worker.definitions.lists import Listed
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


def of_portal(shim: Shim, **wanted: object) -> list[str]:
    """Store a schedule of the running shim, and return its warnings."""
    body = {"cron": "0 3 * * *", "timezone": "UTC", "types": ["contacts"], "mode": "incremental", **wanted}
    answer = shim.put("/schedule", body)
    assert answer.is_success, answer.text
    warnings: list[str] = answer.json()["data"].get("warnings", [])
    return warnings


@pytest.mark.parametrize(
    ("names", "warned"),
    [
        (["email"], None),
        (["email", "score_1"], "HubSpot calculates score_1 of contacts"),
        (["*"], "and 2 more properties"),
    ],
)
def test_what_is_calculated_is_known_from_what_hubspot_defines(
    shim: Shim, names: list[str], warned: str | None
) -> None:
    connect(shim)
    scores = [PropertyDefinition(name=f"score_{number}", calculated=True) for number in range(7)]
    keep(shim, list_of("contacts"), Listed(properties=(PropertyDefinition(name="email"), *scores)))
    warnings = of_portal(shim, properties={"contacts": names})
    assert [warned in each for each in warnings if warned is not None] == ([True] if warned is not None else [])
    assert len(warnings) == (warned is not None)


def test_without_definitions_nothing_is_warned_of(shim: Shim) -> None:
    assert of_portal(shim, properties={"contacts": ["*"]}) == []


def test_a_schedule_without_a_token_is_shown_all_the_same(shim: Shim) -> None:
    of_portal(shim, properties={"contacts": ["*"]})
    shim.tokens.clear()
    assert shim.get("/schedule").status_code == 200
