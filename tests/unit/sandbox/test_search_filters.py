"""Filters and sorts of the dated search."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from sandbox.fake_hubspot.hubspot import HubSpot
from tests.unit.sandbox.searching import Search, ids, one, read


def iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


NUMBERS = {
    "EQ": lambda amount: amount == 50_000,
    "LT": lambda amount: amount < 50_000,
    "LTE": lambda amount: amount <= 50_000,
    "GT": lambda amount: amount > 50_000,
    "GTE": lambda amount: amount >= 50_000,
}


@pytest.mark.parametrize("operator", NUMBERS)
def test_numbers_are_compared_by_size(operator: str, hubspot: HubSpot, search: Search) -> None:
    hubspot.add_account(8, records={"deals": 150})
    everything = read(search("deals", hub_id=8, limit=200, properties=["amount"]))["results"]

    found = ids(search("deals", hub_id=8, **one("amount", operator, 50_000)))

    assert found == [int(each["id"]) for each in everything if NUMBERS[operator](int(each["properties"]["amount"]))]


@pytest.mark.parametrize("written", [str, iso])
@pytest.mark.parametrize("operator", ["GTE", "GT", "LTE", "LT", "EQ", "BETWEEN"])
def test_times_are_milliseconds_or_iso_and_bounds_are_exact(
    operator: str, written: Callable[[int], str], hubspot: HubSpot, search: Search
) -> None:
    records = hubspot.accounts[99].records["deals"]
    times = {facts.id: facts.modified_ms for facts in map(records.facts, records)}
    low, high = sorted(times.values())[10], sorted(times.values())[20]
    expected = {
        "GTE": {id_ for id_, at in times.items() if at >= low},
        "GT": {id_ for id_, at in times.items() if at > low},
        "LTE": {id_ for id_, at in times.items() if at <= low},
        "LT": {id_ for id_, at in times.items() if at < low},
        "EQ": {id_ for id_, at in times.items() if at == low},
        "BETWEEN": {id_ for id_, at in times.items() if low <= at <= high},
    }[operator]

    found = ids(search("deals", **one("hs_lastmodifieddate", operator, written(low), written(high))))

    assert found == sorted(expected)


def test_contacts_are_filtered_by_their_own_field_of_modification(hubspot: HubSpot, search: Search) -> None:
    now_ms = int(hubspot.clock() * 1000)
    touched = hubspot.accounts[99].records["contacts"].ids()[5:9]
    hubspot.accounts[99].records["contacts"].touch(touched, at_ms=now_ms)

    assert ids(search("contacts", **one("lastmodifieddate", "GTE", now_ms))) == touched
    assert search("contacts", **one("hs_lastmodifieddate", "GTE", now_ms)).status == 400


@pytest.mark.parametrize("value", [int, str])
def test_a_search_goes_on_beyond_an_id_as_a_number(
    value: Callable[[int], int | str], hubspot: HubSpot, search: Search
) -> None:
    known = hubspot.accounts[99].records["contacts"].ids()

    found = read(search("contacts", **one("hs_object_id", "GT", value(known[99]), limit=100)))

    assert [int(each["id"]) for each in found["results"]] == known[100:200]
    assert found["total"] == 150
    assert ids(search("contacts", **one("hs_object_id", "IN", value(known[3]), value(known[1]), 1))) == known[1:4:2]
    assert ids(search("contacts", **one("hs_object_id", "BETWEEN", value(known[3]), value(known[5])))) == known[3:6]


def test_texts_are_compared_whatever_their_case_and_records_without_a_value_are_found(search: Search) -> None:
    every = {int(each["id"]): each["properties"] for each in read(search(limit=200, properties=["$price"]))["results"]}
    priced = [id_ for id_, properties in every.items() if properties["$price"]]
    first = {"hs_object_id": {"propertyName": "hs_object_id", "operator": "LTE", "value": str(max(every))}}

    def find(**filter_: object) -> list[int]:
        return ids(search(limit=200, filterGroups=[{"filters": [first["hs_object_id"], filter_]}]))

    assert find(propertyName="$price", operator="HAS_PROPERTY") == priced
    assert find(propertyName="$price", operator="NOT_HAS_PROPERTY") == sorted(set(every) - set(priced))
    assert find(propertyName="$price", operator="IN", values=["12.50 €"]) == priced
    assert find(propertyName="$price", operator="NEQ", value="12.50 €") == sorted(set(every) - set(priced))
    assert find(propertyName="lifecyclestage", operator="EQ", value="LEAD") == find(
        propertyName="lifecyclestage", operator="NOT_IN", values=["customer", "subscriber", "opportunity"]
    )


def test_generated_properties_are_compared_by_their_types(hubspot: HubSpot, search: Search) -> None:
    hubspot.add_account(8, records={"deals": 100}, more_properties={"deals": 6})
    names = (
        "custom_property_of_ours_0001",
        "custom_property_of_ours_0002",
        "custom_property_of_ours_0003",
    )  # a number, a date and an instant
    every = {
        int(each["id"]): each["properties"]
        for each in read(search("deals", hub_id=8, limit=200, properties=names))["results"]
    }
    number, date, instant = (sorted(filter(None, (each[name] for each in every.values())))[20] for name in names)

    def expected(name: str, meets: Callable[[str], bool]) -> list[int]:
        return [id_ for id_, each in every.items() if each[name] and meets(each[name])]

    assert ids(search("deals", hub_id=8, **one(names[0], "GT", number))) == expected(
        names[0], lambda value: float(value) > float(number)
    )
    assert ids(search("deals", hub_id=8, **one(names[1], "LTE", date))) == expected(
        names[1], lambda value: value <= date
    )
    assert ids(search("deals", hub_id=8, **one(names[2], "GTE", instant))) == expected(
        names[2], lambda value: value >= instant
    )


def test_filters_of_a_group_hold_together_and_of_groups_one_suffices(hubspot: HubSpot, search: Search) -> None:
    known = hubspot.accounts[99].records["deals"].ids()
    bounds = [
        {"propertyName": "hs_object_id", "operator": o, "value": v} for o, v in (("GT", known[2]), ("LT", known[5]))
    ]
    exact = {"propertyName": "hs_object_id", "operator": "EQ", "value": known[4]}
    last = {"propertyName": "hs_object_id", "operator": "EQ", "value": known[-1]}

    groups = [{"filters": [last]}, {"filters": bounds}, {"filters": [exact]}]

    assert ids(search("deals", filterGroups=groups)) == [known[3], known[4], known[-1]]


@pytest.mark.parametrize("direction", ["ASCENDING", "DESCENDING"])
@pytest.mark.parametrize("name", ["hs_object_id", "hs_lastmodifieddate", "createdate", "amount", "$price"])
def test_one_sort_orders_by_the_property_and_puts_records_without_it_last(
    name: str, direction: str, search: Search
) -> None:
    sort = {"propertyName": name, "direction": direction}

    records = read(search("deals", limit=200, properties=[name], sorts=[sort]))["results"]

    values = [each["properties"][name] for each in records]
    known = [float(value) if name in {"hs_object_id", "amount"} else value for value in values if value]
    assert len(records) == 30
    assert known == sorted(known, reverse=direction == "DESCENDING")
    assert all(value is None for value in values[len(known) :])


def test_a_sort_may_be_a_mere_name(hubspot: HubSpot, search: Search) -> None:
    assert ids(search("deals", limit=200, sorts=["hs_object_id"])) == hubspot.accounts[99].records["deals"].ids()
