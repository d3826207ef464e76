"""DeletionGuard: what one list of HubSpot's may take out of a copy."""

from __future__ import annotations

from decimal import Decimal

import pytest

from worker.current_copy.deletion_guard import DeletionGuard


@pytest.mark.parametrize(
    ("share", "missing", "living", "may"),
    [
        ("0.1", 30, 300, True),
        ("0.1", 31, 300, False),
        ("0.1", 20, 20, True),
        ("0.1", 21, 21, False),
        ("0.29", 29, 100, True),  # 0.29 * 100 is less than 29 in binary fractions
        ("0.07", 7000, 100_000, True),
        ("0.07", 7001, 100_000, False),
        ("0", 20, 1_000_000, True),
        ("0", 21, 1_000_000, False),
        ("0.999", 1000, 1000, False),
        ("1", 1000, 1000, True),
    ],
)
def test_twenty_records_may_go_or_a_share_of_those_that_live(
    share: str, missing: int, living: int, *, may: bool
) -> None:
    assert DeletionGuard(share=Decimal(share)).allows(missing, living=living) is may


def test_a_tenth_is_the_share_unless_something_else_is_said() -> None:
    assert not DeletionGuard().is_off
    assert DeletionGuard() == DeletionGuard(share=Decimal("0.1"))
