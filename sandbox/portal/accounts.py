"""HubSpot accounts (portals): what is configured for each, and its records and meter."""

from collections.abc import Callable
from typing import Annotated, Literal, TypedDict

import msgspec

from sandbox.portal.census import TYPES, Census
from sandbox.portal.cursors import CursorForm, FinalCursor, ListOrder
from sandbox.portal.journal import Counters
from sandbox.portal.limits import Meter
from sandbox.portal.oddities import OddEnvelope, OddRecord
from sandbox.portal.records.renderer import Renderer, Templates
from sandbox.portal.token_answers import TokenShape

OAuthVersion = Literal["v1", "v3", "2026-03", "2026-09"]
RecordTypeName = Literal["contacts", "companies", "deals", "engagements"]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
DatedCursorForm = Literal["last_id_plus_1", "next_id"]
DEFAULT_SCOPES = (
    *("oauth", "crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.deals.read"),
    "sales-email-read",
)
FIXED = frozenset({"hub_id", "records", "seed", "id_strides"})
"""Settings that a patch cannot change: the records follow from them."""
_MS = 1000  # a second


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be chosen for an account; all but `hub_id` have defaults."""

    hub_id: Annotated[int, msgspec.Meta(ge=1)]
    refresh_token: str = ""
    """Empty: `refresh-{hub_id}`."""
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    records: dict[RecordTypeName, Natural] = {}
    """How many records of each type; none of the types left out."""
    seed: int | None = None
    """Accounts with the same seed have the same record ids; None takes the hub_id."""
    id_strides: dict[RecordTypeName, Annotated[int, msgspec.Meta(ge=1)]] = {}
    """Mean distances of record ids; 1: they follow each other. For types left out as in real portals."""
    user_id: int = 7
    client_id: str | None = None
    """The only app the refresh token was issued to; None accepts any."""
    client_secret: str | None = None
    token_lifetime_s: Annotated[int, msgspec.Meta(ge=0)] = 1800
    fresh_token_refused_s: Seconds = 0.0
    """For so long after it was issued an access token meets 401: HubSpot's servers do not all know it yet."""
    rotate_refresh_tokens: bool = False
    """Give a new refresh token with every access token and refuse the old one from then on."""
    grant_shape: TokenShape = "documented"
    """How the token endpoint's answers look."""
    oauth_gone: tuple[OAuthVersion, ...] = ()
    """Versions of HubSpot's OAuth that answer 404 to this account's tokens and codes, as they will when they end."""
    rate_limit: Natural = 110
    """Calls in a rolling interval; 0 is no limit. HubSpot gives an OAuth app 110 in 10 s."""
    rate_interval_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    daily_limit: Natural = 0
    """Calls a day (UTC); 0 is no limit, as HubSpot has it for OAuth apps."""
    latency_s: Seconds = 0.0
    """Every answer to this account is that much late."""
    rich: bool = False
    """Show every property when none is asked for: about 2 KB a contact. HubSpot itself shows a few."""
    gzip: bool = False
    list_lag_s: Seconds = 0.0
    """How long a new record is in the feeds alone, and not in the lists yet."""
    feeds_show_all: bool = False
    """Whether the feeds of companies and deals show every property, whichever are asked for."""
    odd_records: dict[RecordTypeName, tuple[OddRecord, ...]] = {}
    """What is odd about the records of a type: each in turn, and then one that is as it should be."""
    odd_pages: tuple[OddEnvelope, ...] = ()
    """What is odd about every page of a list or a feed."""
    consents: bool = True
    """Whether the account's user lets an app in that asks on the authorisation page."""
    cursor_forms: dict[RecordTypeName, CursorForm] = {}
    """Of the legacy lists' offsets; for types left out `last_id`, `last_id_plus_1` for deals."""
    final_cursors: dict[RecordTypeName, FinalCursor] = {}
    """Of the legacy lists' last pages and of contacts' feed, where 0 was recorded; for types left out as on others."""
    list_orders: dict[RecordTypeName, ListOrder] = {}
    """Of the legacy lists; ascending for types left out. That of deals was never recorded."""
    dated_cursor_form: DatedCursorForm = "last_id_plus_1"
    """What `after` of the dated lists names; either way it includes the record of that id."""
    grants_tell_portal: bool = True
    """Whether the token endpoint's answers say whose token it is: those of version 1 do not, by HubSpot's reference."""
    information_tells_portal: bool = True
    """Whether the information about a token does."""


class AccountOptions(TypedDict, total=False):
    """The same choices as keyword arguments."""

    refresh_token: str
    scopes: tuple[str, ...]
    records: dict[RecordTypeName, int]
    seed: int | None
    id_strides: dict[RecordTypeName, int]
    user_id: int
    client_id: str | None
    client_secret: str | None
    token_lifetime_s: int
    fresh_token_refused_s: float
    rotate_refresh_tokens: bool
    grant_shape: TokenShape
    oauth_gone: tuple[OAuthVersion, ...]
    rate_limit: int
    rate_interval_s: float
    daily_limit: int
    latency_s: float
    rich: bool
    gzip: bool
    list_lag_s: float
    feeds_show_all: bool
    odd_records: dict[RecordTypeName, tuple[OddRecord, ...]]
    odd_pages: tuple[OddEnvelope, ...]
    consents: bool
    cursor_forms: dict[RecordTypeName, CursorForm]
    final_cursors: dict[RecordTypeName, FinalCursor]
    list_orders: dict[RecordTypeName, ListOrder]
    dated_cursor_form: DatedCursorForm
    grants_tell_portal: bool
    information_tells_portal: bool


class Account:
    """One account: its settings, its records by type, its meters and its counters."""

    def __init__(self, settings: AccountSettings, *, templates: Templates) -> None:
        self.settings = _named(settings)
        seed = settings.hub_id if settings.seed is None else settings.seed
        self.records = {
            name: Census(
                name,
                count=settings.records.get(name, 0),  # type: ignore[call-overload]  # TYPES
                seed=seed,
                stride=settings.id_strides.get(name),  # type: ignore[call-overload]
            )
            for name in TYPES
        }
        self.renderer = Renderer(settings.hub_id, self.records, templates)
        self.renderer.odd = settings.odd_records
        self.meter = Meter()
        self.search_meter = Meter()
        self.counters = Counters()

    @property
    def hub_id(self) -> int:
        """HubSpot's number of the account."""
        return self.settings.hub_id

    def lag(self, type_: str, *, at: float) -> Callable[[int], bool] | None:
        """Give what tells by its index whether lists have a record at a time in epoch seconds; None: they have all."""
        if not self.settings.list_lag_s:
            return None
        census, known_ms = self.records[type_], (at - self.settings.list_lag_s) * _MS
        return lambda index: census.added_at_ms(index) <= known_ms

    def change(self, changes: dict[str, object]) -> None:
        """Change settings; raises msgspec.ValidationError naming a field that is unknown, wrong or fixed."""
        fixed = FIXED.intersection(changes)
        if fixed:
            raise msgspec.ValidationError(f"Field cannot be changed - at `$.{min(fixed)}`")
        changed = {**msgspec.to_builtins(self.settings), **changes}
        self.settings = _named(msgspec.convert(changed, AccountSettings))
        self.renderer.odd = self.settings.odd_records

    def forget_counts(self) -> None:
        """Start counting anew: counters, meter and its peak."""
        self.meter, self.search_meter, self.counters = Meter(), Meter(), Counters()


def _named(settings: AccountSettings) -> AccountSettings:
    refresh_token = settings.refresh_token or f"refresh-{settings.hub_id}"
    return msgspec.structs.replace(settings, refresh_token=refresh_token)
