"""Which accounts were called more often than their rate limit allows."""

from __future__ import annotations

from benchmarks.soak.overshoot import Burst, Overshoot, bursts, complaints_about_limits


def overshoot(hub_id: str, peak: int, *found: Burst) -> Overshoot:
    return Overshoot(hub_id=hub_id, peak=peak, allowed=20, bursts=found)


def test_an_account_above_its_limit_is_named_with_when_and_how_closely_it_was_asked() -> None:
    found = (Burst(at_s=41.26, span_s=1.98), Burst(at_s=50, span_s=1.5))

    (complaint,) = complaints_about_limits([overshoot("12", 21, *found)])

    assert complaint.endswith("12 (21 instead of 20, first after 41.3 s, 21 calls within 1.500 s)")


def test_an_account_whose_calls_are_forgotten_is_named_all_the_same() -> None:
    (complaint,) = complaints_about_limits([overshoot("12", 21)])

    assert complaint.endswith("12 (21 instead of 20)")


def test_of_many_accounts_above_their_limits_the_worst_are_named() -> None:
    (complaint,) = complaints_about_limits([overshoot(str(peak), peak) for peak in range(21, 41)])

    assert complaint.startswith("20 accounts")
    assert "40 (40 instead of 20" in complaint
    assert "35 (" not in complaint


def test_without_an_account_above_its_limit_there_is_nothing_to_say() -> None:
    assert complaints_about_limits([]) == []


def test_each_call_that_is_one_too_many_is_found() -> None:
    found = bursts([0, 1, 2, 3, 3.5, 3.75], calls=3, interval_s=2)

    assert found == [Burst(at_s=3.75, span_s=1.75)]


def test_calls_an_interval_apart_are_not_too_many() -> None:
    assert bursts([0, 1, 2, 3, 4, 5], calls=2, interval_s=2) == []
