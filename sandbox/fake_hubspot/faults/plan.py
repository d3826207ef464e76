"""Scripted faults as data: which calls fail, how often, and how."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypedDict, get_args

import msgspec

from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.parameters import InvalidIntegerError, integer

RecipeName = Literal[
    "ten_secondly",
    "secondly",
    "daily",
    "migrating",
    "locked",
    "error_200",
    "redirect",
    "early_hints",
    "no_content",
    "multi_status",
    "trickle",
    "internal_json",
    "internal_html",
    "bad_gateway",
    "unavailable",
    "gateway_timeout",
    "server_down",
    "cloudflare_timeout",
    "expired",
    "unauthenticated",
    "missing_scopes",
    "bad_refresh_token",
    "uri_too_long",
    "not_found",
    "html_200",
    "broken_json_200",
    "cut",
    "reset",
    "silent",
    "slow",
    "stuck_cursor",
    "cursor_ignored",
    "out_of_order",
    "empty_list",
    "ends_early",
]
RouteName = Literal[
    "contacts",
    "companies",
    "deals",
    "engagements",
    "notes",
    "calls",
    "emails",
    "meetings",
    "tasks",
    "communications",
    "tickets",
    "leads",
    "products",
    "line_items",
    "quotes",
    "custom_objects",
    "batch_read",
    "associations",
    "properties",
    "schemas",
    "pipelines",
    "owners",
    "objects",
    "search",
    "token",
    "token-info",
    "token-revoke",
    "authorize",
]
"""Names of routes; those from `notes` on exist in the dated API only, `objects` are its unknown types."""
RECIPE_NAMES: tuple[str, ...] = get_args(RecipeName)
Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class FaultPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calls that a fault matches, when it fires, and its effect: exactly one of `recipe` and `status`.

    Matching calls are counted from when the fault was scripted, including those that met another fault.
    """

    account: int | None = None
    method: str | None = None
    path: str | None = None
    """Prefix of the path."""
    type: RouteName | None = None
    page_size_over: Count | None = None
    """Only calls with a larger page size."""

    times: Positive | None = 1
    """How often the fault fires; None: without end."""
    every: Positive = 1
    """Fire on every k-th matching call."""
    after: Count = 0
    """Skip so many matching calls first."""
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: int = 0
    """Seed of the random numbers behind `probability`."""

    recipe: RecipeName | None = None
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b'""')
    """A string is sent verbatim, any other value as JSON."""
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    retry_after_s: Count | None = None
    """Retry-After of the answer; default of `migrating`: 60."""
    retry_after_form: Literal["seconds", "date"] = "seconds"
    """A date is sent together with a `Date` header, by the fake HubSpot's clock."""
    trickle_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Seconds over which the body is spread; default of `trickle`: 5."""
    cut_after: Count | None = None
    """Bytes of the body that are sent; default of `cut`: half."""

    def __post_init__(self) -> None:
        if (self.recipe is None) == (self.status is None):
            raise ValueError("Expected exactly one of `recipe` and `status`")


class FaultOptions(TypedDict, total=False):
    """`FaultPlan` as keyword arguments, without the recipe."""

    account: int | None
    method: str | None
    path: str | None
    type: str | None
    page_size_over: int | None
    times: int | None
    every: int
    after: int
    probability: float
    seed: int
    status: int | None
    headers: dict[str, str]
    body: object
    delay_s: float
    retry_after_s: int | None
    retry_after_form: str
    trickle_s: float
    cut_after: int | None


@dataclass
class ScriptedFault:
    """A plan with its progress: matching calls seen, and times fired."""

    id: int
    plan: FaultPlan
    seen: int = 0
    fired: int = 0
    dice: random.Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.plan.seed)

    @property
    def remaining(self) -> int | None:
        """How often it will still fire; None: without end."""
        return None if self.plan.times is None else self.plan.times - self.fired

    def is_due(self, call: Call) -> bool:
        """Count the call if it matches; return whether the fault fires on it."""
        if not _matches(self.plan, call):
            return False
        self.seen += 1
        turn = self.seen - self.plan.after
        on_turn = turn > 0 and turn % self.plan.every == 0
        return on_turn and self.remaining != 0 and self.dice.random() < self.plan.probability


class FaultScript:
    """The scripted faults in order; at most one fires per call, the first that is due."""

    def __init__(self) -> None:
        self._faults: list[ScriptedFault] = []
        self._last_id = 0

    def __iter__(self) -> Iterator[ScriptedFault]:
        return iter(self._faults)

    def add(self, plan: FaultPlan) -> ScriptedFault:
        """Append a fault."""
        self._last_id += 1
        fault = ScriptedFault(self._last_id, plan)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Remove all faults, consumed or not."""
        self._faults.clear()

    def next_for(self, call: Call) -> ScriptedFault | None:
        """Return the fault that fires on this call, if any, and count it."""
        due = [fault for fault in self._faults if fault.is_due(call)]
        if not due:
            return None
        due[0].fired += 1
        return due[0]


def _matches(plan: FaultPlan, call: Call) -> bool:
    return (
        plan.account in (None, call.hub_id)
        and plan.method in (None, call.request.method)
        and plan.type in (None, call.type)
        and call.request.path.startswith(plan.path or "")
        and (plan.page_size_over is None or _page_size(call) > plan.page_size_over)
    )


def _page_size(call: Call) -> int:
    try:
        return max(integer(call.request, name, default=0) for name in ("limit", "count"))
    except InvalidIntegerError:
        return 0
