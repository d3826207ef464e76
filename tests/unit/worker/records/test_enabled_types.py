"""EnabledTypes: what the setting enables, and what it is called."""

from __future__ import annotations

import pytest

from worker.records.enabled_types import ALL_TYPES, EnabledTypes, label_of
from worker.records.registry import OBJECT_TYPES
from worker.records.scopes import scopes_needed, scopes_to_request
from worker.records.types import CONTACTS, DEALS, DOCUMENTED_TYPES, NOTES, ExportType

TICKETS, CARS = ExportType("tickets"), ExportType("p123_cars")


def test_without_the_setting_the_documented_types_are_enabled() -> None:
    usual = EnabledTypes()

    assert (usual.listed, usual.are_documented, usual.has_custom) == (DOCUMENTED_TYPES, True, False)
    assert usual.sentence == "companies, contacts, deals, notes"
    assert EnabledTypes.parse("notes, deals contacts,companies") == usual
    assert [each for each in OBJECT_TYPES if usual.allows(each)] == list(DOCUMENTED_TYPES)


def test_all_are_all_that_hubspot_defines_and_every_custom_object() -> None:
    every = EnabledTypes.parse("*")

    assert set(every.listed) == set(OBJECT_TYPES)
    assert every.allows("p123_cars")
    assert not every.allows("p_cars")
    assert not every.allows("*")
    assert every.sentence.endswith("tasks, tickets and custom objects")
    assert EnabledTypes.parse("contacts,*") == every


def test_a_custom_object_is_enabled_for_every_portal_or_for_one() -> None:
    any_portal, one_portal = EnabledTypes.parse("contacts p_cars"), EnabledTypes.parse("p123_cars")

    assert [any_portal.allows(each) for each in ("p123_cars", "p9_cars", "p9_cars_2", "p_cars")] == [
        True,
        True,
        False,
        False,
    ]
    assert [one_portal.allows(each) for each in ("p123_cars", "p9_cars", "contacts")] == [True, False, False]
    assert any_portal.sentence == "contacts, p_cars"
    assert not any_portal.are_documented


@pytest.mark.parametrize(
    "name", ["ticket", "Contacts", "0-5", "p_", "p12_", "custom_objects", "sync", "contacts;deals"]
)
def test_a_wrong_name_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=f"'{name}' is not a type: name some of contacts, companies, "):
        EnabledTypes.parse(f"contacts,{name}")


def test_nothing_is_no_setting() -> None:
    with pytest.raises(ValueError, match="must name at least one type"):
        EnabledTypes.parse(" , ")


def test_a_sync_without_types_has_those_documented_that_are_enabled() -> None:
    assert EnabledTypes.parse("*").of_a_sync == DOCUMENTED_TYPES
    assert EnabledTypes.parse("deals,tickets,contacts").of_a_sync == (CONTACTS, DEALS)
    assert EnabledTypes.parse("tickets").of_a_sync == (TICKETS,)
    assert EnabledTypes.parse("p_cars").of_a_sync == (ALL_TYPES,)


def test_all_of_a_portal_are_its_own_as_well_as_far_as_they_are_enabled() -> None:
    boats = ExportType("p123_boats")

    assert EnabledTypes.parse("tickets,p_cars").expanded([ALL_TYPES], [CARS, boats]) == (TICKETS, CARS)
    assert EnabledTypes.parse("*").expanded([ALL_TYPES], [CARS, boats])[-2:] == (CARS, boats)
    assert EnabledTypes().expanded([ALL_TYPES], [CARS]) == DOCUMENTED_TYPES
    assert EnabledTypes.parse("*").expanded([NOTES], [CARS]) == (NOTES,)


def test_custom_objects_are_counted_together() -> None:
    assert [label_of(each) for each in ("p123_cars", "p9_boats", "contacts", "sync")] == [
        "custom_objects",
        "custom_objects",
        "contacts",
        "sync",
    ]
    assert EnabledTypes.parse("contacts,p_cars").kinds == (CONTACTS, "custom_objects")


def test_emails_need_a_scope_beside_that_of_contacts_and_others_any_one() -> None:
    assert scopes_needed(ExportType("emails")) == (("crm.objects.contacts.read",), ("sales-email-read",))
    assert scopes_needed(ExportType("products")) == (("crm.objects.products.read", "e-commerce"),)
    assert scopes_needed(NOTES) == (("crm.objects.contacts.read",),)
    assert scopes_needed(ExportType("custom_objects")) == scopes_needed(CARS) == (("crm.objects.custom.read",),)


def test_the_scopes_to_be_requested_are_the_fewest() -> None:
    assert scopes_to_request(EnabledTypes.parse("contacts,emails,tasks,p_cars").kinds) == (
        "crm.objects.contacts.read",
        "sales-email-read",
        "crm.objects.custom.read",
        "crm.schemas.custom.read",
    )
