"""Search of the dated API: what is asked, and what of an answer counts as known."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from worker.errors import FatalHubSpotError, FeedUnusableError, HubSpotError, RetryableHubSpotError
from worker.export.interfaces import FeedQuery
from worker.hubspot.dated.query import DatedQuery
from worker.hubspot.dated.search.changes import ListsAndChanges
from worker.hubspot.dated.search.searches import total_of
from worker.hubspot.page_calls import PageCalls
from worker.hubspot.transport import Answer, Call, Transport
from worker.rate_limit.permits import FREE_PERMIT, Permit
from worker.records.findings import CallKind

OBJECTS = "https://api.test/crm/objects/2026-09"
SINCE = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
SINCE_MS = "1795446000000"
TOKEN = SecretStr("token")
FOUND = Answer(b'{"total": 1, "results": [{"id": "1", "properties": {}}]}', None)


@dataclass
class Answers:
    """Answers in turn; remembers the calls."""

    bodies: list[Any]
    calls: list[Call] = field(default_factory=list)

    def send(self, call: Call) -> Answer:
        self.calls.append(call)
        body = self.bodies.pop(0)
        return Answer(body if isinstance(body, bytes) else json.dumps(body).encode(), None)

    @property
    def asked(self) -> list[Any]:
        return [each.json for each in self.calls]


def found(*ids: object, total: int | None = None, **more: object) -> dict[str, Any]:
    counted = {"total": total} if total is not None else {}
    return {**counted, "results": [{"id": each, "properties": {}} for each in ids], **more}


def read(answers: Answers, *, feed: FeedQuery | None = None, calls: PageCalls | None = None, **asked: Any) -> Any:  # noqa: ANN401 - DatedQuery's
    query = DatedQuery(**{"path": "contacts", "feed": feed or FeedQuery(since=SINCE), **asked})
    lists = ListsAndChanges(transport=Transport(answers.send), objects_url=OBJECTS)
    return lists.read(query, calls or PageCalls(), TOKEN)


def test_it_asks_for_what_was_modified_in_the_order_of_ids() -> None:
    answers = Answers([found("1", "2", total=2)])
    page = read(answers, properties=("email",), count=100)
    assert answers.calls[0].url == f"{OBJECTS}/contacts/search"
    assert answers.asked == [
        {
            "filterGroups": [{"filters": [{"propertyName": "lastmodifieddate", "operator": "GTE", "value": SINCE_MS}]}],
            "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            "properties": ["email"],
            "limit": 200,
        }
    ]
    assert (len(page.records), page.after, page.last_id) == (2, None, 2)


def test_it_goes_on_behind_the_last_id_in_a_question_of_its_own() -> None:
    answers = Answers([found("7", total=9), found("9", total=1)])
    page = read(answers)
    assert page.after == 8
    assert read(answers, after=page.after).after is None
    behind = answers.asked[1]["filterGroups"][0]["filters"][1]
    assert behind == {"propertyName": "hs_object_id", "operator": "GT", "value": "7"}
    assert "after" not in answers.asked[1]


@pytest.mark.parametrize(
    ("path", "name"),
    [("contacts", "lastmodifieddate"), ("tickets", "hs_lastmodifieddate"), ("p1_cars", "hs_lastmodifieddate")],
)
def test_each_type_has_its_field_of_modification(path: str, name: str) -> None:
    answers = Answers([found(total=0)])
    read(answers, path=path)
    assert answers.asked[0]["filterGroups"][0]["filters"][0]["propertyName"] == name


def test_a_page_that_was_too_large_once_is_smaller_here_as_well() -> None:
    answers = Answers([found(total=0)])
    read(answers, count=25)
    assert answers.asked[0]["limit"] == 50


def test_no_question_is_longer_than_hubspot_takes() -> None:
    names = [f"property_{number:04}" for number in range(400)]
    asked = []
    for number in range(150, 190):
        answers = Answers([found(total=0)])
        read(answers, properties=tuple(names[:number]))
        asked += answers.asked
    named = [len(each["properties"]) for each in asked]
    most = max(named)
    assert named == [number if number <= most else 1 for number in range(150, 190)]
    assert 2980 < max(len(json.dumps(each)) for each in asked) <= 3000


def test_what_has_a_history_is_read_by_ids_since_search_has_none() -> None:
    answers = Answers([found("1", total=1), {"status": "COMPLETE", "results": [{"id": "1", "properties": {"a": "b"}}]}])
    page = read(answers, properties=("a",), history=("a",))
    assert answers.asked[0]["properties"] == ["hs_object_id"]
    assert answers.asked[1]["propertiesWithHistory"] == ("a",)
    assert [bytes(each) for each in page.records] == [b'{"id": "1", "properties": {"a": "b"}}']


def test_what_search_does_not_give_of_sensitive_properties_is_read_by_ids() -> None:
    batch = Answer(b'{"status": "COMPLETE", "results": [{"id": "1", "properties": {"a": "b"}}]}', None)
    answers: list[Answer | HubSpotError] = [FatalHubSpotError("not available in the search", status=400), FOUND, batch]
    calls: list[Call] = []

    def send(call: Call) -> Answer:
        calls.append(call)
        answer = answers.pop(0)
        if isinstance(answer, HubSpotError):
            raise answer
        return answer

    lists = ListsAndChanges(transport=Transport(send), objects_url=OBJECTS)
    asked = DatedQuery(path="contacts", feed=FeedQuery(since=SINCE), properties=("a",))
    page = lists.read(asked, PageCalls(), TOKEN)
    assert [each.url.rpartition("/")[2] for each in calls] == ["search", "search", "read"]
    assert len(page.records) == 1


def test_any_other_refusal_is_one() -> None:
    def refuse(_: Call) -> Answer:
        raise FatalHubSpotError("no", status=403)

    lists = ListsAndChanges(transport=Transport(refuse), objects_url=OBJECTS)
    with pytest.raises(FatalHubSpotError):
        lists.read(DatedQuery(path="contacts", feed=FeedQuery(since=SINCE), properties=("a",)), PageCalls(), TOKEN)


def test_what_vanishes_between_the_two_calls_is_counted() -> None:
    answers = Answers([found("1", "2", total=2), {"status": "COMPLETE", "results": [{"id": "2"}]}])
    page = read(answers, properties=("a",), history=("a",))
    assert (len(page.records), page.findings.vanished, page.last_id) == (1, 1, 2)


@pytest.mark.parametrize("ids", [("2", "1"), ("1", "1"), ("1", "x"), ("1", None)])
def test_an_answer_that_is_in_no_order_tells_not_what_has_changed(ids: tuple[object, ...]) -> None:
    with pytest.raises(FeedUnusableError, match="order of their ids"):
        read(Answers([found(*ids, total=2)]))


def test_nor_does_one_that_goes_back_behind_the_place_that_was_asked_for() -> None:
    with pytest.raises(FeedUnusableError):
        read(Answers([found("5", total=1)]), after=6)


def test_nor_one_that_counts_records_and_gives_none() -> None:
    with pytest.raises(FeedUnusableError, match="gives none"):
        read(Answers([found(total=3)]))


def test_without_a_count_its_paging_says_whether_there_is_more() -> None:
    assert read(Answers([found("1", paging={"next": {"after": "1"}})])).after == 2
    assert read(Answers([found("1")])).after is None


def test_an_answer_that_is_no_page_may_pass() -> None:
    with pytest.raises(RetryableHubSpotError):
        read(Answers([b"<html>"]))


def test_a_kind_that_the_sync_before_could_not_read_is_not_known_from_its_changes() -> None:
    feed = FeedQuery(since=SINCE, left_out=("emails",))
    assert read(Answers([found(total=0)]), feed=feed, path="calls").after is None
    with pytest.raises(FeedUnusableError, match="HubSpot gives emails now"):
        read(Answers([found(total=0)]), feed=feed, path="emails")


def test_a_kind_that_is_refused_still_stays_a_refusal() -> None:
    def refuse(_: Call) -> Answer:
        raise FatalHubSpotError("no", status=403)

    lists = ListsAndChanges(transport=Transport(refuse), objects_url=OBJECTS)
    feed = FeedQuery(since=SINCE, left_out=("emails",))
    with pytest.raises(FatalHubSpotError):
        lists.read(DatedQuery(path="emails", feed=feed), PageCalls(), TOKEN)


def test_each_call_has_a_permit_of_the_limit_that_it_counts_in() -> None:
    kinds: list[CallKind | None] = []

    def further(kind: CallKind | None = None) -> Permit:
        kinds.append(kind)
        return FREE_PERMIT

    calls = PageCalls(further_call=further, is_of_search=True)
    answers = Answers(
        [
            found("1", total=1),
            {"status": "COMPLETE", "results": [{"id": "1"}]},
            {"status": "COMPLETE", "results": []},
        ]
    )
    read(answers, calls=calls, history=("a",), associations=("companies",))
    assert kinds == [None, None]  # the search had the one that was booked
    calls.permit(CallKind.SEARCH)
    assert kinds == [None, None, CallKind.SEARCH]
    assert calls.by_kind == {"search": 2, "batch": 1, "associations": 1}


def test_what_is_asked_before_a_search_does_not_take_its_permit() -> None:
    kinds: list[CallKind | None] = []
    booked = object()

    def further(kind: CallKind | None = None) -> Any:  # noqa: ANN401 - a permit
        kinds.append(kind)
        return object()

    calls = PageCalls(booked, further_call=further, is_of_search=True)  # type: ignore[arg-type]
    assert calls.permit(CallKind.DEFINITIONS) is not booked
    assert calls.permit(CallKind.SEARCH) is booked
    assert kinds == [None]


@pytest.mark.parametrize(
    ("body", "total"),
    [(b'{"total": 5}', 5), (b'{"total": "5"}', 5), (b"{}", None), (b'{"total": -1}', None), (b"<", None)],
)
def test_a_total_is_read_where_there_is_one(body: bytes, total: int | None) -> None:
    assert total_of(body) == total
