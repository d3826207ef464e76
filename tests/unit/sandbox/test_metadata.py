"""What connectors ask before they read."""

from collections.abc import Callable
from typing import Any

import pytest

Page = Callable[..., dict[str, Any]]


@pytest.mark.parametrize("version", ["/crm/properties/2026-09", "/crm/v3/properties"])
def test_the_properties_that_are_described_are_those_that_can_be_asked_for(version: str, page: Page) -> None:
    names = [each["name"] for each in page(f"{version}/contacts")["results"]]

    shown = page(f"/crm/objects/2026-09/contacts?limit=1&properties={','.join(names)}")["results"][0]

    assert names
    assert set(shown["properties"]) == set(names)


def test_an_account_has_no_types_of_objects_of_its_own(page: Page) -> None:
    assert page("/crm/v3/schemas") == {"results": []}
