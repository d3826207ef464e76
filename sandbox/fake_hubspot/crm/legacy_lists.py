"""The four legacy lists, which differ in parameters, cursors and envelopes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

from sandbox.fake_hubspot.account import Account
from sandbox.fake_hubspot.accounts import RecordTypeName
from sandbox.fake_hubspot.call import Call
from sandbox.fake_hubspot.messages import Answer, Request
from sandbox.fake_hubspot.parameters import integer
from sandbox.fake_hubspot.records.cursors import CursorForm, ListReader
from sandbox.fake_hubspot.records.shape import Shape

_LINKED_TYPES = ("contacts", "companies", "deals")
_EMAIL_SCOPE = "sales-email-read"


@dataclass(frozen=True)
class LegacyList:
    """One legacy list. Keys, their order and the meaning of offsets come from recorded traffic.

    By default the cursor is the last id on the page, and the next page excludes it; for deals it is the last id + 1,
    and the next page includes it. Unknown parameters are ignored, so a client that misnames the cursor gets page 1
    without end.
    """

    type: str
    path: str
    scopes: tuple[str, ...]
    envelope: tuple[str, str, str]
    """Keys in the order HubSpot sends them."""
    items_key: str
    more_key: str
    cursor_key: str
    cursor_parameter: str
    size_parameter: str
    default_size: int
    largest_size: int
    shape: Callable[[Request], Shape]
    cursor_form: CursorForm = "last_id"

    def answer(self, call: Call) -> Answer:
        """Return one page. Raises InvalidIntegerError."""
        cursor = integer(call.request, self.cursor_parameter, default=0)
        size = self.page_size(call.request)
        account = call.owner
        found = self._reader(account, at=call.at).page(cursor, size)
        records = account.renderer.render(self.type, found.indexes, self.shown(call))
        return Answer(200, self._envelope(more=found.more, cursor=found.cursor) % b",".join(records))

    def page_size(self, request: Request) -> int:
        """Return the page size: clamped to the maximum; less than 1 means the default."""
        size = integer(request, self.size_parameter, default=self.default_size)
        return min(size, self.largest_size) if size > 0 else self.default_size

    def shown(self, call: Call) -> Shape:
        return shown(call, self.type, self.shape(call.request))

    def _reader(self, account: Account, *, at: float) -> ListReader:
        name, settings = cast("RecordTypeName", self.type), account.settings
        return ListReader(
            account.records[name],
            form=settings.cursor_forms.get(name, self.cursor_form),
            final=settings.final_cursors.get(name),
            order=settings.list_orders.get(name, "ascending"),
            is_listed=account.lag(self.type, at=at),
        )

    def _envelope(self, *, more: bool, cursor: int | None) -> bytes:
        # A format string with one %b for the records spares large pages another copy.
        values = {self.items_key: b"[%b]", self.more_key: b"true" if more else b"false"}
        if cursor is not None:
            values[self.cursor_key] = b"%d" % cursor
        return (
            b"{" + b",".join(b'"%b":%b' % (key.encode(), values[key]) for key in self.envelope if key in values) + b"}"
        )


def shown(call: Call, type_: str, shape: Shape) -> Shape:
    """Return the shape of a call with what its account's settings and scopes add."""
    settings, unasked = call.owner.settings, not (shape.properties or shape.with_history)
    sensitive = (settings.sensitive_properties, settings.highly_sensitive_properties)
    return replace(
        call.owner.renderer.linked(type_, shape),
        every_property=shape.every_property or (settings.rich and unasked),
        email_bodies=_EMAIL_SCOPE in settings.scopes,
        hidden=frozenset(name for by_type in sensitive for name in by_type.get(type_, ())),
        long_history=settings.long_history,
        merged=settings.merged_records,
    )


def _contact_shape(request: Request) -> Shape:
    return Shape(
        properties=tuple(request.every("property")),
        full_history=request.first("propertyMode") == "value_and_history",
        forms=request.first("formSubmissionMode") or "newest",
    )


def _company_shape(request: Request) -> Shape:
    return Shape(
        properties=tuple(request.every("properties")),
        with_history=tuple(request.every("propertiesWithHistory")),
    )


def _deal_shape(request: Request) -> Shape:
    return Shape(
        properties=tuple(request.every("properties")),
        with_history=tuple(request.every("propertiesWithHistory")),
        every_property=request.first("includeAllProperties") == "true",
        associations=_LINKED_TYPES if request.first("includeAssociations") == "true" else (),
    )


LEGACY_LISTS = (
    LegacyList(
        type="contacts",
        path="/contacts/v1/lists/all/contacts/all",
        scopes=("crm.objects.contacts.read", "crm.objects.contacts.write", "content"),
        envelope=("contacts", "has-more", "vid-offset"),
        items_key="contacts",
        more_key="has-more",
        cursor_key="vid-offset",
        cursor_parameter="vidOffset",
        size_parameter="count",
        default_size=20,
        largest_size=100,
        shape=_contact_shape,
    ),
    LegacyList(
        type="companies",
        path="/companies/v2/companies/paged",
        scopes=("crm.objects.companies.read",),
        envelope=("has-more", "offset", "companies"),
        items_key="companies",
        more_key="has-more",
        cursor_key="offset",
        cursor_parameter="offset",
        size_parameter="limit",
        default_size=100,
        largest_size=250,
        shape=_company_shape,
    ),
    LegacyList(
        type="deals",
        path="/deals/v1/deal/paged",
        scopes=("crm.objects.deals.read",),
        envelope=("deals", "hasMore", "offset"),
        items_key="deals",
        more_key="hasMore",
        cursor_key="offset",
        cursor_parameter="offset",
        size_parameter="limit",
        default_size=100,
        largest_size=250,
        shape=_deal_shape,
        cursor_form="last_id_plus_1",
    ),
    LegacyList(
        type="engagements",
        path="/engagements/v1/engagements/paged",
        scopes=("crm.objects.contacts.read",),
        envelope=("results", "hasMore", "offset"),
        items_key="results",
        more_key="hasMore",
        cursor_key="offset",
        cursor_parameter="offset",
        size_parameter="limit",
        default_size=100,
        largest_size=250,
        shape=lambda _: Shape(associations=_LINKED_TYPES),
    ),
)
LEGACY_LISTS_BY_TYPE = {each.type: each for each in LEGACY_LISTS}
