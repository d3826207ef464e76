"""HubSpot accounts (portals): the settings, records, rate meters and counters of each."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Annotated, Literal, TypedDict

import msgspec

from sandbox.fake_hubspot.journal import Counters
from sandbox.fake_hubspot.limits import Meter
from sandbox.fake_hubspot.oauth.token_answers import TokenShape
from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor, ListOrder
from sandbox.fake_hubspot.records.more_properties import with_more_properties
from sandbox.fake_hubspot.records.oddities import OddEnvelope, OddRecord
from sandbox.fake_hubspot.records.record_counts import TYPES, RecordSet
from sandbox.fake_hubspot.records.registry import OTHER_TYPES, RECORD_TYPES, record_types
from sandbox.fake_hubspot.records.renderer import Renderer, Templates
from sandbox.fake_hubspot.records.shape import RecordType
from sandbox.fake_hubspot.scopes import granted_for

OAuthVersion = Literal["v1", "v3", "2026-03", "2026-09"]
RecordTypeName = Literal["contacts", "companies", "deals", "engagements"]
"""The types that the legacy API has; `records` takes every other one besides."""
Counts = Mapping[RecordTypeName, int] | Mapping[str, int]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Seconds = Annotated[float, msgspec.Meta(ge=0)]
DatedCursorForm = Literal["last_id_plus_1", "next_id"]
DEFAULT_SCOPES = (
    *("oauth", "crm.objects.contacts.read", "crm.objects.companies.read", "crm.objects.deals.read"),
    "sales-email-read",
)
FIXED = frozenset({"hub_id", "records", "custom_objects", "links", "seed", "id_strides"})
"""Settings that PATCH refuses: the records are derived from them."""
_LONGEST_ARCHIVED_S = 90 * 24 * 3600
_MS = 1000


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be configured for an account; only `hub_id` is required."""

    hub_id: Annotated[int, msgspec.Meta(ge=1)]
    refresh_token: str = ""
    """Default: `refresh-{hub_id}`."""
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    """The default grants the scopes of further types in `records` and of `custom_objects` too."""
    records: dict[str, Natural] = {}
    """Number of records by type, those of custom objects by their plain names; 0 for missing types.

    Notes, calls, e-mails, meetings and tasks are engagements.
    """
    custom_objects: tuple[Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]*$")], ...] = ()
    """Plain names of the account's own types, such as `cars`; the first is 2-1001 and `p{hub_id}_cars`."""
    more_properties: dict[str, Natural] = {}
    """Number of generated properties by type, `custom_0001` and so on, of all of HubSpot's types."""
    sensitive_properties: dict[str, tuple[str, ...]] = {}
    """Names of the properties whose values need a scope of their own, by type."""
    highly_sensitive_properties: dict[str, tuple[str, ...]] = {}
    removed_properties: dict[str, tuple[str, ...]] = {}
    """Names of the properties that the account's users have archived, by type: no record shows them any more."""
    links: dict[str, dict[str, Natural]] = {}
    """How many records of another type each record is associated with, by type and other type.

    Those of engagements hold for every kind of them.
    """
    long_history: bool = False
    """Every property has had three values from different sources, in place of two from one."""
    merged_records: bool = False
    """Some contacts and companies have been merged with others, and some companies have several domains."""
    seed: int | None = None
    """Accounts with the same seed have the same record ids; default: the hub_id."""
    id_strides: dict[str, Annotated[int, msgspec.Meta(ge=1)]] = {}
    """Mean distance of record ids by type; 1: contiguous. Default: as in real portals."""
    user_id: int = 7
    client_id: str | None = None
    """The app that the refresh token was issued to; None accepts any."""
    client_secret: str | None = None
    token_lifetime_s: Annotated[int, msgspec.Meta(ge=0)] = 1800
    fresh_token_refused_s: Seconds = 0.0
    """A new access token is answered 401 for so long, as by those of HubSpot's servers that do not know it yet."""
    rotate_refresh_tokens: bool = False
    """Each grant returns a new refresh token and invalidates the old one."""
    grant_shape: TokenShape = "documented"
    """The form of the token endpoint's answers."""
    oauth_gone: tuple[OAuthVersion, ...] = ()
    """OAuth versions that answer 404 to this account's tokens and codes, as after their sunset."""
    rate_limit: Natural = 110
    """Calls per rolling interval; 0: no limit. HubSpot allows an OAuth app 110 in 10 s."""
    rate_interval_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    daily_limit: Natural = 0
    """Calls per UTC day; 0: no limit, as for OAuth apps at HubSpot."""
    latency_s: Seconds = 0.0
    """Delay of every answer to this account."""
    rich: bool = False
    """Return every property when the request names none: about 2 KB a contact. HubSpot itself returns a few."""
    gzip: bool = False
    list_lag_s: Seconds = 0.0
    """How long a new record appears in the feeds but not yet in the lists."""
    search_lag_s: Seconds = 0.0
    """How long the search does not know a new record, or a change of one."""
    feeds_show_all: bool = False
    """The feeds of companies and deals return every property, whatever the request names."""
    odd_records: dict[RecordTypeName, tuple[OddRecord, ...]] = {}
    """Malformations of the records of a type, in turn; after each cycle comes one regular record."""
    odd_pages: tuple[OddEnvelope, ...] = ()
    """Malformations of every page of a list or a feed."""
    consents: bool = True
    """Whether the account's user consents on the authorisation page."""
    cursor_forms: dict[RecordTypeName, CursorForm] = {}
    """Form of the legacy lists' offsets; default: `last_id`, for deals `last_id_plus_1`."""
    final_cursors: dict[RecordTypeName, FinalCursor] = {}
    """Offset on the last page of the legacy lists and of the contacts feed, where 0 was recorded; default: as usual."""
    list_orders: dict[RecordTypeName, ListOrder] = {}
    """Order of the legacy lists; default: ascending. The order of deals was never recorded."""
    dated_cursor_form: DatedCursorForm = "last_id_plus_1"
    """What `after` of the dated lists names; either way the record of that id is included."""
    grants_tell_portal: bool = True
    """Whether grants contain `hub_id`: those of version 1 do not, by HubSpot's reference."""
    information_tells_portal: bool = True
    """Whether the introspection of a token contains `hub_id`."""

    def __post_init__(self) -> None:
        sets, types = {*TYPES, *self.custom_objects}, {*RECORD_TYPES, *self.custom_objects}
        known: tuple[tuple[str, Iterable[str], set[str]], ...] = (
            ("records", self.records, sets),
            ("id_strides", self.id_strides, sets),
            ("links", self.links, sets),
            ("links", (name for each in self.links.values() for name in each), types),
            ("more_properties", self.more_properties, types),
            ("sensitive_properties", self.sensitive_properties, types),
            ("highly_sensitive_properties", self.highly_sensitive_properties, types),
            ("removed_properties", self.removed_properties, types),
        )
        for field, names, allowed in known:
            if unknown := set(names) - allowed:
                raise ValueError(f"Invalid type {min(unknown)!r} - at `$.{field}`")


class AccountOptions(TypedDict, total=False):
    """`AccountSettings` as keyword arguments."""

    refresh_token: str
    scopes: tuple[str, ...]
    records: Counts
    custom_objects: tuple[str, ...]
    more_properties: Mapping[str, int]
    sensitive_properties: Mapping[str, tuple[str, ...]]
    highly_sensitive_properties: Mapping[str, tuple[str, ...]]
    removed_properties: Mapping[str, tuple[str, ...]]
    links: Mapping[str, Mapping[str, int]]
    long_history: bool
    merged_records: bool
    seed: int | None
    id_strides: Counts
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
    search_lag_s: float
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
    """One account: settings, records by type, rate meters and counters."""

    def __init__(self, settings: AccountSettings, *, templates: Templates) -> None:
        self.settings = _named(settings)
        seed = settings.hub_id if settings.seed is None else settings.seed
        self.records = {
            name: RecordSet(
                name,
                count=settings.records.get(name, 0),
                seed=seed,
                stride=settings.id_strides.get(name),
            )
            for name in (*TYPES, *settings.custom_objects)
        }
        types = _types(settings)
        self.renderer = Renderer(settings.hub_id, self.records, templates, record_types=types, numbers=settings.links)
        self.renderer.odd = settings.odd_records
        self.meter = Meter()
        self.search_meter = Meter()
        self.counters = Counters()

    @property
    def hub_id(self) -> int:
        return self.settings.hub_id

    @property
    def record_types(self) -> Mapping[str, RecordType]:
        """All types by name: legacy engagements, those of the dated API, and custom objects by their plain names."""
        return self.renderer.record_types

    def find_type(self, alias: str) -> RecordType | None:
        """Return the type that the dated API knows by a name or number, such as `notes`, `note`, `0-46` or `p_cars`."""
        dated = (each for each in self.record_types.values() if each.dated_number)
        return next((each for each in dated if alias in each.aliases or alias == each.singular != each.name), None)

    def can_associate(self, alias: str) -> bool:
        """Return whether records can be associated with a type of this name, whether or not it has records here."""
        return alias in OTHER_TYPES or self.find_type(alias) is not None

    def archived(self, record_type: RecordType, *, after: int = 0, at: float) -> Iterator[int]:
        """Return the indexes of the records of a type in the recycle bin at `at` (epoch seconds), as `members`."""
        since_ms = int((at - _LONGEST_ARCHIVED_S) * _MS)
        archived = self.records[record_type.record_set].archived(after=after, since_ms=since_ms)
        return self.renderer.members(record_type, iter(archived))

    def members(self, record_type: RecordType, *, after: int = 0) -> Iterator[int]:
        """Return the indexes of the records of a type whose ids are greater than `after`, ascending."""
        return self.renderer.members(record_type, self.records[record_type.record_set].after(after))

    def lag(self, type_: str, *, at: float) -> Callable[[int], bool] | None:
        """Return a predicate on indexes: is the record listed at `at` (epoch seconds)? None: all records are."""
        if not self.settings.list_lag_s:
            return None
        record_set, known_ms = self.records[type_], (at - self.settings.list_lag_s) * _MS
        return lambda index: record_set.added_at_ms(index) <= known_ms

    def change(self, changes: dict[str, object]) -> None:
        """Change settings; raises msgspec.ValidationError naming a field that is unknown, invalid or fixed."""
        fixed = FIXED.intersection(changes)
        if fixed:
            raise msgspec.ValidationError(f"Field cannot be changed - at `$.{min(fixed)}`")
        changed = {**msgspec.to_builtins(self.settings), **changes}
        self.settings = _named(msgspec.convert(changed, AccountSettings))
        self.renderer.record_types = _types(self.settings)
        self.renderer.odd = self.settings.odd_records

    def forget_counts(self) -> None:
        self.meter, self.search_meter, self.counters = Meter(), Meter(), Counters()


def _types(settings: AccountSettings) -> Mapping[str, RecordType]:
    return {
        name: with_more_properties(
            record_type,
            count=settings.more_properties.get(name, 0),
            removed=frozenset(settings.removed_properties.get(name, ())),
            merged=settings.merged_records,
        )
        for name, record_type in record_types(settings.hub_id, settings.custom_objects).items()
    }


def _named(settings: AccountSettings) -> AccountSettings:
    refresh_token = settings.refresh_token or f"refresh-{settings.hub_id}"
    scopes = settings.scopes
    if scopes == DEFAULT_SCOPES:
        further = granted_for((name for name, count in settings.records.items() if count), settings.custom_objects)
        scopes = tuple(dict.fromkeys((*scopes, *further)))
    return msgspec.structs.replace(settings, refresh_token=refresh_token, scopes=scopes)
