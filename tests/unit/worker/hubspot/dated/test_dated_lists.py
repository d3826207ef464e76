"""Pages of dated lists, in as few calls as they take: short and long lists of properties, history, what vanishes."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.worker.hubspot.dated.dated_portal import MANY, Answer, DatedPortal, names
from worker.errors import AddressTooLongError, FatalHubSpotError, HubSpotError, RetryableHubSpotError, TokenRefusedError
from worker.hubspot.dated.lists import DatedListPage
from worker.hubspot.dated.query import DatedQuery
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.splitting import LONGEST_QUERY
from worker.rate_limit.permits import FREE_PERMIT, FreePermit, Permit


def ids_of(page: DatedListPage) -> list[str]:
    return [json.loads(bytes(each))["id"] for each in page.records]


def properties_of(page: DatedListPage) -> list[dict[str, str]]:
    return [json.loads(bytes(each))["properties"] for each in page.records]


def test_a_short_list_of_properties_takes_one_call_and_stays_as_it_came() -> None:
    portal = DatedPortal(range(1, 8))
    page = portal.read(count=3, properties=("amount", "dealname"))
    assert portal.asked == [("list", {"limit": "3", "properties": "amount,dealname"})]
    assert page.body is not None
    assert json.loads(page.body)["results"] == [json.loads(bytes(each)) for each in page.records]
    assert (ids_of(page), page.after) == (["1", "2", "3"], 4)


def test_commas_are_sent_as_they_are_and_count_once() -> None:
    portal = DatedPortal([1])
    portal.read(properties=("a", "b"), history=("c", "d"), count=50)
    assert urlsplit(portal.addresses[0]).query == "limit=50&properties=a,b&propertiesWithHistory=c,d"
    assert DatedQuery(path="deals", properties=("a", "b")).length == len("limit=100&properties=a,b")


def test_a_long_list_of_properties_takes_two_calls_for_a_hundred_records_in_the_order_of_the_list() -> None:
    portal, calls = DatedPortal(range(1, 151)), PageCalls()
    page = portal.read(calls, properties=MANY)
    assert portal.asked[0] == ("list", {"limit": "100", "properties": "hs_object_id"})
    assert (portal.kinds, calls.by_kind) == (["list", "batch"], {"list": 1, "batch": 1})
    assert ids_of(page) == [str(each) for each in range(1, 101)]
    assert all(set(each) == set(MANY) for each in properties_of(page))
    assert (page.after, page.body, page.findings.vanished) == (101, None, 0)


def test_the_longest_query_that_is_sent_has_as_many_characters_as_hubspot_is_sure_to_take() -> None:
    base = DatedQuery(path="deals", properties=names(300))
    fits = DatedQuery(path="deals", properties=(*names(300), "x" * (LONGEST_QUERY - base.length - 1)))
    too_long = DatedQuery(path="deals", properties=(*names(300), "x" * (LONGEST_QUERY - base.length)))
    for query, kinds in ((fits, ["list"]), (too_long, ["list", "batch"])):
        portal = DatedPortal([1])
        portal.read(properties=query.properties)
        assert portal.kinds == kinds
    assert (fits.length, too_long.length) == (LONGEST_QUERY, LONGEST_QUERY + 1)


def test_history_has_fifty_records_a_page() -> None:
    portal = DatedPortal(range(1, 200))
    page = portal.read(history=("amount",), properties=("amount",))
    assert portal.asked == [
        ("list", {"limit": "50", "properties": "amount", "propertiesWithHistory": "amount"}),
    ]
    assert len(page.records) == 50


def test_a_long_list_with_history_takes_three_calls_for_a_hundred_records() -> None:
    portal = DatedPortal(range(1, 200))
    page = portal.read(history=MANY, properties=("amount",))
    assert portal.kinds == ["list", "batch", "batch"]
    assert [len(asked["inputs"]) for _, asked in portal.asked[1:]] == [50, 50]
    assert portal.asked[1][1]["propertiesWithHistory"] == list(MANY)
    assert ids_of(page) == [str(each) for each in range(1, 101)]


def test_what_is_archived_is_read_by_ids_as_such() -> None:
    portal = DatedPortal([1])
    portal.read(properties=MANY, archived=True)
    assert [asked["archived"] for _, asked in portal.asked] == ["true", "true"]
    portal = DatedPortal([1])
    portal.read(properties=MANY)
    assert not any("archived" in asked for _, asked in portal.asked)


def test_what_vanishes_between_the_calls_is_left_out_and_counted() -> None:
    portal = DatedPortal(range(1, 7), gone=frozenset({2, 5, 6}))
    page = portal.read(properties=MANY)
    assert ids_of(page) == ["1", "3", "4"]
    assert page.findings.vanished == 3
    assert (page.after, page.last_id) == (None, 6)


def test_a_page_of_which_all_has_vanished_still_leads_on() -> None:
    page = DatedPortal(range(1, 7), gone=frozenset({1, 2})).read(count=2, properties=MANY)
    assert (ids_of(page), page.after, page.findings.vanished) == ([], 3, 2)


def test_what_an_answer_leaves_out_without_a_word_has_vanished_as_well() -> None:
    def instead(kind: str, _: int) -> Answer | None:
        return (200, {}, '{"status":"COMPLETE","results":[{"id":"2","properties":{}}]}') if kind == "batch" else None

    page = DatedPortal([1, 2, 3], instead=instead).read(properties=MANY)
    assert (ids_of(page), page.findings.vanished) == (["2"], 2)


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        (
            [{"category": "OBJECT_NOT_FOUND", "context": {"ids": ["2"]}}, {"category": "INTERNAL", "message": "no"}],
            "no",
        ),
        ([{"category": "RATE_LIMITS", "message": "slower"}], "slower"),
        ([None], "has not done all"),
    ],
)
def test_any_other_error_of_a_single_record_is_one_of_the_page(errors: list[Any], kind: str) -> None:
    def instead(asked: str, _: int) -> Answer | None:
        body = {"status": "COMPLETE", "results": [{"id": "1", "properties": {}}], "numErrors": 1, "errors": errors}
        return (207, {}, json.dumps(body)) if asked == "batch" else None

    with pytest.raises(RetryableHubSpotError, match=kind):
        DatedPortal([1, 2], instead=instead).read(properties=MANY)


@pytest.mark.parametrize(
    "body",
    ['{"status":"PROCESSING","results":[]}', "<html>", '{"results":5}', "[]", '{"status":"error","message":"x"}'],
)
def test_a_batch_that_is_not_done_or_is_none_may_be_one_the_next_time(body: str) -> None:
    portal = DatedPortal([1], instead=lambda kind, _: (200, {}, body) if kind == "batch" else None)
    with pytest.raises(RetryableHubSpotError):
        portal.read(properties=MANY)


@pytest.mark.parametrize(("status", "error"), [(401, TokenRefusedError), (403, FatalHubSpotError), (502, HubSpotError)])
def test_a_refusal_of_the_second_call_is_one_of_the_page(status: int, error: type[HubSpotError]) -> None:
    portal = DatedPortal([1], instead=lambda kind, _: (status, {}, "{}") if kind == "batch" else None)
    with pytest.raises(error) as caught:
        portal.read(properties=MANY)
    assert caught.value.status == status


def test_207_is_no_success_of_a_list() -> None:
    portal = DatedPortal([1], instead=lambda kind, _: (207, {}, '{"results":[]}') if kind == "list" else None)
    with pytest.raises(RetryableHubSpotError):
        portal.read(properties=("amount",))


def test_414_leads_to_reading_by_ids_and_is_remembered_by_who_asked() -> None:
    def instead(kind: str, number: int) -> Answer | None:
        return (414, {}, "<html>") if kind == "list" and number == 1 else None

    portal = DatedPortal([1], instead=instead)
    query: dict[str, Any] = {"properties": ("amount", "dealname")}
    with pytest.raises(AddressTooLongError) as shorter:
        portal.read(**query)
    assert shorter.value.retry_after_s == 0

    page = portal.read(**query, longest_query=shorter.value.longest_query)

    assert portal.kinds == ["list", "list", "batch"]
    assert properties_of(page) == [{"amount": "amount of 1", "dealname": "dealname of 1"}]


def test_414_without_properties_to_leave_out_is_final() -> None:
    portal = DatedPortal([1], instead=lambda _kind, _number: (414, {}, "<html>"))
    with pytest.raises(FatalHubSpotError) as caught:
        portal.read()
    assert not isinstance(caught.value, AddressTooLongError)


def test_414_with_all_properties_left_out_is_final_as_well() -> None:
    portal = DatedPortal([1], instead=lambda kind, _number: (414, {}, "<html>") if kind == "list" else None)
    with pytest.raises(FatalHubSpotError) as caught:
        portal.read(properties=("amount", "dealname"), longest_query=20)
    assert not isinstance(caught.value, AddressTooLongError)
    assert portal.kinds == ["list"]


def test_records_without_an_id_stay_as_the_list_has_them() -> None:
    listed = {"results": [{"id": "2"}, None, {"id": "7.0"}, {"x": 1}, "text", {"id": "2"}]}

    def instead(kind: str, _: int) -> Answer | None:
        return (200, {}, json.dumps(listed)) if kind == "list" else None

    portal = DatedPortal([2, 7], instead=instead)
    page = portal.read(properties=MANY)

    assert [each["id"] for each in portal.asked[1][1]["inputs"]] == ["2", "7"]
    found = [json.loads(bytes(each)) for each in page.records]
    assert [each["id"] if isinstance(each, dict) and "id" in each else each for each in found] == [
        "2",
        None,
        "7",
        {"x": 1},
        "text",
        "2",
    ]


def test_an_empty_list_takes_no_second_call() -> None:
    portal = DatedPortal([])
    page = portal.read(properties=MANY)
    assert (portal.kinds, page.records, page.after, page.last_id) == (["list"], [], None, None)


def test_what_is_no_json_in_a_batch_is_mended_and_told_where_its_record_is() -> None:
    def instead(kind: str, _: int) -> Answer | None:
        body = '{"results":[{"id":"3","properties":{"a":NaN}},{"id":"1","properties":{"a":"\\ud83d"}}]}'
        return (200, {}, body) if kind == "batch" else None

    page = DatedPortal([1, 2, 3], instead=instead).read(properties=MANY)

    assert properties_of(page) == [{"a": "\ufffd"}, {"a": None}]
    assert sorted((mend.place, mend.kind.value) for mend in page.mends) == [(0, "half_characters"), (1, "not_a_number")]


def test_the_first_call_has_the_page_s_permit_and_each_other_one_waits_for_its_own() -> None:
    used: list[str] = []

    class Named(FreePermit):
        def __init__(self, name: str) -> None:
            self._name = name

        def settle(self) -> None:
            used.append(self._name)

    def further() -> Permit:
        return Named(f"further {len(used)}")

    DatedPortal(range(1, 200)).read(PageCalls(Named("first"), further_call=further), properties=MANY, history=("a",))

    assert used == ["first", "further 1", "further 2"]


def test_without_further_calls_to_wait_for_none_is_waited_for() -> None:
    calls = PageCalls(FREE_PERMIT)
    DatedPortal([1]).read(calls, properties=MANY)
    assert calls.by_kind == {"list": 1, "batch": 1}


# By ids


def test_records_come_in_the_order_of_their_ids_as_they_were_asked_for() -> None:
    portal = DatedPortal([], gone=frozenset({5}))
    page = portal.read_by_ids([7, 3, 5, 7], properties=("amount",))
    assert ids_of(page) == ["7", "3"]
    assert page.findings.vanished == 1
    assert portal.kinds == ["batch"]


def test_more_ids_than_a_call_takes_take_several() -> None:
    portal = DatedPortal([])
    page = portal.read_by_ids(list(range(1, 252)), properties=("amount",))
    assert [len(asked["inputs"]) for _, asked in portal.asked] == [100, 100, 51]
    assert ids_of(page) == [str(each) for each in range(1, 252)]


def test_associations_of_records_by_ids_are_read_by_ids_as_well() -> None:
    links = {1: {"contacts": list(range(500, 750)), "line_items": [9]}, 2: {"contacts": [500]}}
    portal = DatedPortal([], links=links)

    page = portal.read_by_ids([1, 2, 3], properties=("amount",), associations=("contacts", "line_items"))

    found = [json.loads(bytes(each)).get("associations", {}) for each in page.records]
    linked = [{name: [one["id"] for one in given["results"]] for name, given in each.items()} for each in found]
    assert linked == [
        {"contacts": [str(each) for each in range(500, 750)], "line_items": ["9"]},
        {"contacts": ["500"]},
        {},
    ]
    assert portal.kinds == ["batch", *["links to contacts"] * 3, "links to line_items"]
    assert page.findings.incomplete_associations == 0


def test_no_ids_take_no_call() -> None:
    portal = DatedPortal([])
    assert portal.read_by_ids([], properties=("amount",), associations=("contacts",)).records == []
    assert portal.asked == []


@given(
    ids=st.sets(st.integers(1, 300), max_size=40).map(sorted),
    gone=st.frozensets(st.integers(1, 300), max_size=20),
    links=st.dictionaries(
        st.integers(1, 300),
        st.dictionaries(st.sampled_from(["contacts", "line_items"]), st.integers(0, 320)),
        max_size=5,
    ),
    count=st.integers(1, 30),
    link_page=st.sampled_from([100, 250]),
)
def test_a_list_that_is_read_by_ids_is_the_list_without_what_has_vanished(
    ids: list[int], gone: frozenset[int], links: dict[int, dict[str, int]], count: int, link_page: int
) -> None:
    linked = {each: {name: list(range(size)) for name, size in given.items()} for each, given in links.items()}
    short = DatedPortal(ids, links=linked, link_page=link_page)
    long = DatedPortal(ids, links=linked, link_page=link_page, gone=gone)
    query: dict[str, Any] = {"count": count, "associations": ("contacts", "line_items")}
    after, found, expected, vanished = None, list[Any](), list[Any](), 0
    while True:
        whole = short.read(**query, properties=("a", "b"), after=after)
        page = long.read(**query, properties=("a", "b"), after=after, longest_query=1)
        expected += [json.loads(bytes(each)) for each in whole.records]
        found += [json.loads(bytes(each)) for each in page.records]
        vanished += page.findings.vanished
        assert (page.after, page.last_id) == (whole.after, whole.last_id)
        if page.after is None:
            break
        after = page.after
    assert found == [each for each in expected if int(each["id"]) not in gone]
    assert vanished == len(gone.intersection(ids))
    assert len(found) + vanished == len(ids)
    for each in found:
        given = each.get("associations", {})
        for name, others in linked.get(int(each["id"]), {}).items():
            results = given.get(name.replace("_", " "), {"results": []})["results"]
            assert [int(one["id"]) for one in results] == others
