"""Groups of tests that run in one process, one after the other, and share what is slow to start: a file, or several.

pytest-xdist's own marker for groups has no effect with pytest 9.2, which ignores what it writes into the ids of tests.
"""

from __future__ import annotations

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]  # it has no types

_GROUPS = {
    # killed workers, on a stack with short leases
    "acceptance/test_survival.py": "deaths",
    "acceptance/test_failover.py": "deaths",
    "acceptance/test_syncs.py::test_syncs_lose_nothing": "deaths",
    "acceptance/test_syncs.py::test_a_sync_is_accepted_without_a_worker": "deaths",
    "acceptance/test_current_copy.py::test_counts_stay_exact": "deaths",
    "acceptance/test_erasing.py::test_an_erasure_whose_shim_is_killed": "deaths",
    "acceptance/test_schedules.py::test_however_many_dispatch": "deaths",
    "acceptance/test_webhooks.py::test_what_a_killed_worker": "deaths",
    "acceptance/test_webhooks.py::test_the_own_network": "deaths",
    # a wait of two minutes
    "acceptance/test_token_rotation.py::test_where_there_is_neither_version": "endpoints",
    # workers with other settings, on one stack
    "acceptance/test_api_change.py": "crews",
    "acceptance/test_dry_run.py": "crews",
    "acceptance/test_turns.py": "crews",
    # a stack whose servers are stopped and frozen
    "acceptance/test_servers_away.py": "away",
    "acceptance/test_frozen_broker.py": "away",
    # a stack without a beat
    "acceptance/test_call_counts.py": "calls",
    "acceptance/test_sync_calls.py": "calls",
    # a portal that has everything
    "acceptance/test_whole_portal": "portal",
    # a RabbitMQ
    "integration/test_broker_nodes.py": "rabbitmq",
    "integration/test_queue_lengths.py::test_rabbitmq": "rabbitmq",
}
"""Groups other than a file, by the beginning of the ids of tests below `tests/`."""

WITH_ALL_TYPES = "with all types"
"""Id and group of the tests of the contract where all types are enabled."""

_LONGEST_FIRST = (
    "deaths",
    WITH_ALL_TYPES,
    "portal",
    "endpoints",
    *(f"tests/acceptance/test_{name}.py" for name in ("lanes", "rabbitmq_cluster", "query_plans", "token_rotation")),
)
"""A run that began with one of these last would end with idle cores."""


def group_of(test_id: str) -> str:
    if WITH_ALL_TYPES in test_id:
        return WITH_ALL_TYPES
    below = test_id.removeprefix("tests/")
    return next(
        (group for beginning, group in _GROUPS.items() if below.startswith(beginning)), test_id.partition("::")[0]
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by group: the longest first, the others as they were found."""
    groups = [*_LONGEST_FIRST, *(group_of(item.nodeid) for item in items)]
    places = {name: place for place, name in reversed(list(enumerate(groups)))}
    items.sort(key=lambda item: places[group_of(item.nodeid)])


class GroupScheduling(LoadScopeScheduling):  # type: ignore[misc]  # for the same reason
    """Gives a process a whole group at a time."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> GroupScheduling | None:
    """Take the place of `--dist=loadgroup`."""
    return GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None
