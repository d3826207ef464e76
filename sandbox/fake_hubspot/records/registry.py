"""The record types that every account has, by name, and those of one account."""

from collections.abc import Mapping, Sequence

from sandbox.fake_hubspot.records.activities import CALLS, COMMUNICATIONS, EMAILS, MEETINGS, NOTES, TASKS
from sandbox.fake_hubspot.records.commerce import LEADS, LINE_ITEMS, PRODUCTS, QUOTES, TICKETS
from sandbox.fake_hubspot.records.companies import COMPANIES
from sandbox.fake_hubspot.records.contacts import CONTACTS
from sandbox.fake_hubspot.records.custom_objects import custom_object
from sandbox.fake_hubspot.records.deals import DEALS
from sandbox.fake_hubspot.records.engagements import ENGAGEMENTS
from sandbox.fake_hubspot.records.shape import RecordType

RECORD_TYPES = {
    record_type.name: record_type
    for record_type in (
        *(CONTACTS, COMPANIES, DEALS, ENGAGEMENTS),
        *(NOTES, CALLS, EMAILS, MEETINGS, TASKS, COMMUNICATIONS),
        *(TICKETS, LEADS, PRODUCTS, LINE_ITEMS, QUOTES),
    )
}
"""Engagements are listed by the legacy API alone, and everything after them by the dated API alone."""
OTHER_TYPES = frozenset({"postal_mail", "0-116", "orders", "0-123", "carts", "0-142", "invoices", "0-53"})
"""Types that HubSpot has and accounts have no records of here."""


def record_types(hub_id: int, custom_objects: Sequence[str]) -> Mapping[str, RecordType]:
    """Return the types of an account by name, its custom objects by their plain names."""
    own = {name: custom_object(hub_id, name, position) for position, name in enumerate(custom_objects)}
    return {**RECORD_TYPES, **own}
