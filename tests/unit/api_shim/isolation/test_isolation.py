"""Whatever people of several accounts do, in whatever order: none of them sees or changes what another account has."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.unit.api_shim.conftest import new_parts, serving
from tests.unit.api_shim.isolation.connection_rules import ConnectionRules
from tests.unit.api_shim.isolation.key_rules import KeyRules
from tests.unit.api_shim.isolation.record_rules import RecordRules
from tests.unit.api_shim.shim import Shim


class Everything(KeyRules, RecordRules, ConnectionRules):
    """All rules together; further ones are one more base class."""


@pytest.fixture
def shim() -> Iterator[Shim]:
    with serving(new_parts()) as shim:
        yield shim


def test_nobody_finds_a_way_to_what_another_account_has(shim: Shim) -> None:
    Everything.shim = shim

    run_state_machine_as_test(
        Everything,
        settings=settings(
            max_examples=10, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
