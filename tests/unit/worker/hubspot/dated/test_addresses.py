"""The addresses of the dated API: all follow from that of its objects."""

from __future__ import annotations

import pytest

from worker.errors import FatalHubSpotError
from worker.hubspot.dated.addresses import DatedAddresses

ORIGIN = "https://api.hubapi.com"


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("version", ["2026-09", "2027-03"])
def test_all_addresses_have_the_origin_and_the_version_of_the_objects(version: str, slash: str) -> None:
    addresses = DatedAddresses(f"{ORIGIN}/crm/objects/{version}{slash}")
    assert addresses.list_of("contacts") == f"{ORIGIN}/crm/objects/{version}/contacts"
    assert addresses.list_of("/crm/owners/") == f"{ORIGIN}/crm/owners/{version}/"
    assert addresses.owners() == f"{ORIGIN}/crm/owners/{version}/"
    assert addresses.batch_read("p7_cars") == f"{ORIGIN}/crm/objects/{version}/p7_cars/batch/read"
    assert addresses.search("deals") == f"{ORIGIN}/crm/objects/{version}/deals/search"
    assert addresses.associations("deals", "2-1") == f"{ORIGIN}/crm/associations/{version}/deals/2-1/batch/read"
    assert addresses.properties("deals") == f"{ORIGIN}/crm/properties/{version}/deals"
    assert addresses.pipelines("deals") == f"{ORIGIN}/crm/pipelines/{version}/deals"
    assert addresses.schemas() == f"{ORIGIN}/crm-object-schemas/{version}/schemas"


def test_a_type_cannot_lead_anywhere_else() -> None:
    addresses = DatedAddresses(f"{ORIGIN}/crm/objects/2026-09")
    assert addresses.list_of("a/../b?x#y") == f"{ORIGIN}/crm/objects/2026-09/a%2F..%2Fb%3Fx%23y"
    assert addresses.properties("a?x") == f"{ORIGIN}/crm/properties/2026-09/a%3Fx"


def test_objects_that_are_somewhere_else_can_be_read_and_nothing_beside_them() -> None:
    addresses = DatedAddresses("https://proxy.test/hubspot")
    assert addresses.list_of("deals") == "https://proxy.test/hubspot/deals"
    with pytest.raises(FatalHubSpotError, match="HUBSPOT_OBJECTS_ENDPOINT"):
        addresses.owners()
