"""The settings of HubSpot accounts (portals)."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypedDict

import msgspec

from sandbox.fake_hubspot.oauth.token_answers import TokenShape
from sandbox.fake_hubspot.records.cursors import CursorForm, FinalCursor, ListOrder
from sandbox.fake_hubspot.records.oddities import OddEnvelope, OddRecord
from sandbox.fake_hubspot.records.record_counts import TYPES
from sandbox.fake_hubspot.records.registry import RECORD_TYPES

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
_BY_RECORD_SET = ("records", "id_strides", "links")
_BY_TYPE = ("more_properties", "sensitive_properties", "highly_sensitive_properties", "removed_properties")


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
    """Number of generated properties by type, `custom_property_of_ours_0001` and so on, of all of HubSpot's types."""
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
        for known, fields in ((TYPES, _BY_RECORD_SET), (RECORD_TYPES, _BY_TYPE)):
            for field in fields:
                if unknown := {*getattr(self, field)}.difference(known, self.custom_objects):
                    raise ValueError(f"Invalid type {min(unknown)!r} - at `$.{field}`")
        if unknown := {name for each in self.links.values() for name in each}.difference(
            RECORD_TYPES, self.custom_objects
        ):
            raise ValueError(f"Invalid type {min(unknown)!r} - at `$.links`")


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
