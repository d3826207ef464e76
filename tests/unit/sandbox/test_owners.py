"""The owners of an account: an API of its own, with cursors of its own."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]
BASE = "/crm/owners/2026-09"


@pytest.fixture
def staffed(hubspot: HubSpot) -> HubSpot:
    hubspot.add_account(8, records={"owners": 620}, rate_limit=0)
    return hubspot


@pytest.mark.parametrize("path", [BASE, f"{BASE}/", "/crm/v3/owners", "/crm/v3/owners/"])
def test_following_after_gives_every_owner_once(path: str, staffed: HubSpot, page: Page) -> None:
    sizes: list[int] = []
    seen: list[str] = []
    after = ""
    while True:
        answer = page(f"{path}?limit=250&after={after}", hub_id=8)
        sizes.append(len(answer["results"]))
        seen += [each["id"] for each in answer["results"]]
        if "paging" not in answer:
            break
        after = answer["paging"]["next"]["after"]

    assert sizes == [250, 250, 120]
    assert seen == [str(each) for each in staffed.accounts[8].records["owners"].ids()]


def test_a_hundred_come_unless_asked_for_more_and_never_more_than_five_hundred(
    staffed: HubSpot, page: Page, get: Get
) -> None:
    assert len(page(BASE, hub_id=8)["results"]) == 100
    assert len(page(f"{BASE}?limit=500", hub_id=8)["results"]) == 500
    assert get(f"{BASE}?limit=501", hub_id=8).status == 400


@pytest.mark.parametrize("cursor", ["501", "!!", "bm90aGluZw=="])
def test_a_cursor_that_is_none_of_the_list_is_refused(cursor: str, staffed: HubSpot, get: Get) -> None:
    assert get(f"{BASE}?after={cursor}", hub_id=8).status == 400


def test_an_owner_is_found_by_email(staffed: HubSpot, page: Page) -> None:
    owner = page(f"{BASE}?limit=7", hub_id=8)["results"][6]

    assert page(f"{BASE}?email={owner['email']}", hub_id=8)["results"] == [owner]
    assert page(f"{BASE}?email=nobody@example.test", hub_id=8)["results"] == []


def test_a_deleted_owner_is_archived_and_no_user_any_more(staffed: HubSpot, page: Page) -> None:
    gone = page(f"{BASE}?limit=3", hub_id=8)["results"][2]
    staffed.accounts[8].records["owners"].delete([int(gone["id"])])

    [archived] = page(f"{BASE}?archived=true", hub_id=8)["results"]

    assert gone["id"] not in {each["id"] for each in page(f"{BASE}?limit=500", hub_id=8)["results"]}
    assert (archived["id"], archived["archived"], "userId" in archived) == (gone["id"], True, False)
    assert archived["userIdIncludingInactive"] == gone["userId"]


def test_an_account_has_no_owners_and_their_scope_is_not_granted_unless_told(hubspot: HubSpot, get: Get) -> None:
    refused = get(BASE)
    hubspot.accounts[99].change({"scopes": ["crm.objects.owners.read"]})

    assert (refused.status, json.loads(refused.body)["category"]) == (403, "MISSING_SCOPES")
    assert json.loads(get(BASE).body) == {"results": []}
