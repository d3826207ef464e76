"""The four legacy lists: envelopes, cursors, page sizes and parameters as recorded from the real service."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.messages import Answer

Page = Callable[..., dict[str, Any]]
Get = Callable[..., Answer]

CONTACTS = "/contacts/v1/lists/all/contacts/all"
COMPANIES = "/companies/v2/companies/paged"
DEALS = "/deals/v1/deal/paged"
ENGAGEMENTS = "/engagements/v1/engagements/paged"

# type: path, keys in order, list, more, cursor out, cursor in, size, default size, maximum
LISTS = {
    "contacts": (CONTACTS, ["contacts", "has-more", "vid-offset"], "vidOffset", "count", 20, 100),
    "companies": (COMPANIES, ["has-more", "offset", "companies"], "offset", "limit", 100, 250),
    "deals": (DEALS, ["deals", "hasMore", "offset"], "offset", "limit", 100, 250),
    "engagements": (ENGAGEMENTS, ["results", "hasMore", "offset"], "offset", "limit", 100, 250),
}
MORE = ("has-more", "hasMore")
CURSORS = ("vid-offset", "offset")


def record_id(record: dict[str, Any]) -> int:
    flat = {**record, **record.get("engagement", {})}
    return int(next(flat[name] for name in ("vid", "companyId", "dealId", "id") if name in flat))


def parts(page: dict[str, Any]) -> tuple[list[int], bool, int]:
    """Ids, more flag and cursor of a page, whatever they are called."""
    records = next(value for value in page.values() if isinstance(value, list))
    more = next(page[name] for name in MORE if name in page)
    return [record_id(each) for each in records], more, next(page[name] for name in CURSORS if name in page)


@pytest.mark.parametrize("type_", LISTS)
def test_the_envelope_has_the_keys_of_its_list_in_hubspots_order(type_: str, get: Get) -> None:
    path, keys, *_ = LISTS[type_]

    assert list(json.loads(get(path).body)) == keys


@pytest.mark.parametrize("type_", LISTS)
def test_following_the_cursor_gives_every_record_once_in_ascending_order(
    type_: str, page: Page, hubspot: HubSpot
) -> None:
    path, _, cursor_in, size, *_ = LISTS[type_]
    seen: list[int] = []
    more, cursor = True, 0

    while more:
        ids, more, cursor = parts(page(f"{path}?{size}=7&{cursor_in}={cursor}"))
        seen += ids

    assert seen == hubspot.accounts[99].records[type_].ids()


@pytest.mark.parametrize("type_", LISTS)
def test_the_last_page_still_carries_an_offset(type_: str, page: Page, hubspot: HubSpot) -> None:
    path, _, cursor_in, *_ = LISTS[type_]
    *_, before, last = hubspot.accounts[99].records[type_].ids()

    ids, more, cursor = parts(page(f"{path}?{cursor_in}={before + 1}"))

    assert (ids, more) == ([last], False)
    assert cursor == (last + 1 if type_ == "deals" else last)


def test_the_offset_of_deals_is_the_last_id_plus_one_and_includes_it(page: Page, hubspot: HubSpot) -> None:
    ids = hubspot.accounts[99].records["deals"].ids()

    first, _, cursor = parts(page(f"{DEALS}?limit=3"))
    at_an_id, *_ = parts(page(f"{DEALS}?limit=1&offset={ids[5]}"))

    assert (first, cursor) == (ids[:3], ids[2] + 1)
    assert at_an_id == [ids[5]]


def test_the_offset_of_contacts_is_the_last_id_and_excludes_it(page: Page, hubspot: HubSpot) -> None:
    ids = hubspot.accounts[99].records["contacts"].ids()

    first, _, cursor = parts(page(f"{CONTACTS}?count=3"))
    after, *_ = parts(page(f"{CONTACTS}?count=1&vidOffset={ids[2]}"))

    assert (first, cursor) == (ids[:3], ids[2])
    assert after == [ids[3]]


@pytest.mark.parametrize("type_", LISTS)
def test_an_empty_account_answers_no_records_no_more_and_offset_zero(type_: str, page: Page, hubspot: HubSpot) -> None:
    hubspot.add_account(5)

    assert parts(page(LISTS[type_][0], hub_id=5)) == ([], False, 0)


@pytest.mark.parametrize("type_", LISTS)
@pytest.mark.parametrize("start", ["", "0"])
def test_an_empty_or_zero_offset_is_the_start(type_: str, start: str, page: Page) -> None:
    path, _, cursor_in, *_ = LISTS[type_]

    assert page(f"{path}?{cursor_in}={start}") == page(path)


@pytest.mark.parametrize("type_", ["contacts", "engagements"])
def test_a_page_has_the_default_size_and_never_more_than_the_maximum(type_: str, page: Page, hubspot: HubSpot) -> None:
    path, _, _, size, default, maximum = LISTS[type_]
    hubspot.accounts[99].records[type_].add(300)

    assert len(parts(page(path))[0]) == default
    assert len(parts(page(f"{path}?{size}=100000"))[0]) == maximum


@pytest.mark.parametrize(
    "misnamed", [f"{CONTACTS}?offset=1000", f"{CONTACTS}?vid-offset=1000", f"{ENGAGEMENTS}?vidOffset=3400100000"]
)
def test_a_misnamed_parameter_is_ignored_and_gives_page_one_again(misnamed: str, page: Page) -> None:
    assert page(misnamed) == page(misnamed.partition("?")[0])


@pytest.mark.parametrize("target", [f"{CONTACTS}?count=ten", f"{DEALS}?offset=1.5", f"{COMPANIES}?limit=%20"])
def test_a_number_that_is_none_is_refused_with_a_validation_error(target: str, get: Get) -> None:
    answer = get(target)

    assert answer.status == 400
    assert json.loads(answer.body)["category"] == "VALIDATION_ERROR"
    assert json.loads(answer.body)["errors"][0]["code"] == "INVALID_INTEGER"


def test_contacts_show_a_few_standard_properties_unless_asked_for_others(page: Page) -> None:
    unasked = page(CONTACTS)["contacts"][1]["properties"]
    asked = page(f"{CONTACTS}?property=email&property=phone&property=nonesuch")["contacts"][1]["properties"]

    assert {"firstname", "lastname", "company", "lastmodifieddate"} <= set(unasked)
    assert "phone" not in unasked
    assert set(asked) == {"email", "phone"}
    assert set(asked["email"]) == {"value"}


@pytest.mark.parametrize(("path", "key"), [(COMPANIES, "companies"), (DEALS, "deals")])
def test_companies_and_deals_show_no_properties_unless_asked(path: str, key: str, page: Page) -> None:
    assert all(record["properties"] == {} for record in page(path)[key])


def test_companies_show_the_properties_asked_for_with_their_source(page: Page) -> None:
    [company, *_] = page(f"{COMPANIES}?properties=name&properties=website")["companies"]

    assert list(company["properties"]) == ["name", "website"]
    assert list(company["properties"]["name"]) == ["value", "timestamp", "source", "sourceId", "versions"]


def test_history_is_shown_when_asked_for(page: Page) -> None:
    [contact, *_] = page(f"{CONTACTS}?property=email&propertyMode=value_and_history")["contacts"]
    [deal, *_] = page(f"{DEALS}?propertiesWithHistory=dealname")["deals"]

    assert len(contact["properties"]["email"]["versions"]) == 2
    assert len(deal["properties"]["dealname"]["versions"]) == 2


def test_deals_name_their_associations_only_when_asked(page: Page, hubspot: HubSpot) -> None:
    vids = set(hubspot.accounts[99].records["contacts"].ids())

    silent = page(DEALS)["deals"]
    asked = page(f"{DEALS}?includeAssociations=true")["deals"]

    assert not any(vid for deal in silent for vid in deal["associations"]["associatedVids"])
    linked = {vid for deal in asked for vid in deal["associations"]["associatedVids"]}
    assert linked
    assert linked <= vids


def test_a_rich_account_shows_contacts_of_about_two_kilobytes(page: Page, hubspot: HubSpot, get: Get) -> None:
    hubspot.add_account(7, records={"contacts": 1000}, rich=True, rate_limit=0)

    answer = get(f"{CONTACTS}?count=100", hub_id=7)

    assert 1_600 < len(answer.body) / 100 < 2_400
    assert len(json.loads(answer.body)["contacts"][0]["properties"]) >= 29


@pytest.mark.parametrize(("length", "status"), [(16_000, 200), (16_001, 414)])
def test_a_request_uri_that_is_too_long_gets_414_with_html(length: int, status: int, get: Get) -> None:
    target = f"{CONTACTS}?property="

    answer = get(target + "x" * (length - len(target)))

    assert answer.status == status
    assert answer.headers["content-type"].startswith("text/html") == (status == 414)
