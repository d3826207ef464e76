"""Scripts and counts the faulty answers of HubSpot during a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox.control import HubSpotControl
from sandbox.fake_hubspot.faults.plan import RecipeName

_RECIPES: tuple[RecipeName, ...] = (
    "ten_secondly",
    "secondly",
    "bad_gateway",
    "internal_html",
    "reset",
    "cut",
    "html_200",
    "broken_json_200",
    "expired",
    "slow",
)
_TOKEN_RECIPES: tuple[RecipeName, ...] = ("bad_gateway", "reset")
_SLOW_S = 2.0
_HARMLESS = frozenset({"slow"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultCount:
    """How often a fault fired. `costs_a_call`: a page has to be fetched again because of it."""

    name: str
    times: int
    costs_a_call: bool


def script(control: HubSpotControl, *, probability: float, seed: int) -> None:
    """Make answers faulty from now on with a total `probability`, each kind of fault equally often."""
    for number, recipe in enumerate(_RECIPES):
        _add(control, recipe, probability / len(_RECIPES), seed=seed * 100 + number, method="GET")
    for number, recipe in enumerate(_TOKEN_RECIPES, start=len(_RECIPES)):
        _add(control, recipe, probability / len(_TOKEN_RECIPES), seed=seed * 100 + number, method="POST")


def count(control: HubSpotControl) -> Sequence[FaultCount]:
    """Return how often each fault has fired so far."""
    return [
        FaultCount(
            name=f"{'page' if fault['method'] == 'GET' else 'token'}: {fault['recipe']}",
            times=fault["fired"],
            costs_a_call=fault["method"] == "GET" and fault["recipe"] not in _HARMLESS,
        )
        for fault in control.faults()
    ]


def _add(control: HubSpotControl, recipe: RecipeName, probability: float, *, seed: int, method: str) -> None:
    """Script one recipe; the method selects page reads (GET) or token renewals (POST)."""
    delay_s = _SLOW_S if recipe == "slow" else 0.0
    control.fail_next(recipe, probability=probability, seed=seed, method=method, times=None, delay_s=delay_s)
