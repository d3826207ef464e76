"""Definitions: what is asked of HubSpot, what is kept for whom, and what a refusal costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from pydantic import SecretStr

from tests.fakes.definitions import GivenDefinitions
from tests.unit.worker.workshop import HUB, Workshop
from worker.accounts.connection import TokenInfo
from worker.accounts.token import Token
from worker.definitions.definition import CustomType, Owner, Pipeline, Sensitivity
from worker.definitions.interfaces import Access, DefinitionPage
from worker.definitions.lists import OWNERS, SCHEMAS, DefinitionList, Listed, ListKind
from worker.definitions.questions import CheckProperties, ListDefinitions
from worker.definitions.reader import DefinitionReader
from worker.errors import (
    CallAbandonedError,
    FatalHubSpotError,
    NoPermitError,
    PermitExpiredError,
    RateLimitedError,
    RetryableHubSpotError,
    TokenRefusedError,
)
from worker.rate_limit.interfaces import Reservation
from worker.rate_limit.limiter import NoRateLimit
from worker.rate_limit.permits import Permit
from worker.rate_limit.quota import Quota
from worker.records.types import CONTACTS, DEALS, NOTES, ExportType

FORBIDDEN = FatalHubSpotError("This app hasn't been granted all required scopes", status=403, body={})
CARS = CustomType(name="p62515_cars", type_id="2-1", short_name="cars")
OWNERS_OF = ExportType("owners")


def properties_of(path: str, sensitivity: Sensitivity = Sensitivity.NONE) -> DefinitionList:
    return DefinitionList(kind=ListKind.PROPERTIES, path=path, sensitivity=sensitivity)


def names(shop: Workshop, export_type: ExportType, *, owner: str = "u1") -> list[str]:
    asked = ListDefinitions(kind=ListKind.PROPERTIES, export_type=export_type)
    return [each.name for each in shop.job_definitions().show("a1", owner, asked).listed.properties]


@pytest.fixture
def given(shop: Workshop) -> GivenDefinitions:
    return shop.definitions


def test_sensitive_properties_are_shown_behind_the_others(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", "email", "phone")
    given.define("contacts", "passport", sensitivity=Sensitivity.SENSITIVE)
    given.define("contacts", "diagnosis", sensitivity=Sensitivity.HIGH)

    assert names(shop, CONTACTS) == ["email", "phone", "passport", "diagnosis"]


def test_a_list_is_asked_for_once_in_ten_minutes(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", "email")
    assert [names(shop, CONTACTS) for _ in range(3)] == [["email"]] * 3
    assert len(given.asked) == 3  # by its sensitivities

    shop.clock.advance(601)
    names(shop, CONTACTS)

    assert len(given.asked) == 6


def test_another_user_of_the_portal_with_the_same_scopes_is_shown_what_is_kept(
    shop: Workshop, given: GivenDefinitions
) -> None:
    given.define("contacts", "email")
    connect(shop, "u2", HUB)
    names(shop, CONTACTS)

    assert names(shop, CONTACTS, owner="u2") == ["email"]

    assert len(given.asked) == 3


def test_a_user_of_another_portal_is_shown_that_one_s(shop: Workshop, given: GivenDefinitions) -> None:
    shop.hubspot.add_account(777, records={"contacts": 1}, rate_limit=0)
    connect(shop, "u2", 777)
    given.define("contacts", "email")
    names(shop, CONTACTS)

    given.define("contacts", "other")

    assert names(shop, CONTACTS, owner="u2") == ["other"]


def test_a_user_with_fewer_scopes_is_shown_what_hubspot_shows_them(shop: Workshop, given: GivenDefinitions) -> None:
    given.lists[OWNERS] = Listed(owners=(Owner(id="7", email="ada@example.test"),))
    definitions = shop.job_definitions()
    definitions.show("a1", "u1", ListDefinitions(kind=ListKind.OWNERS))
    given.lists[OWNERS] = FORBIDDEN
    shop.hubspot.add_account(HUB, records={"contacts": 1}, rate_limit=0, scopes=("oauth",))
    connect(shop, "u2", HUB)

    with pytest.raises(FatalHubSpotError):
        definitions.show("a1", "u2", ListDefinitions(kind=ListKind.OWNERS))


def test_access_is_the_same_for_the_same_portal_and_scopes_in_whatever_order() -> None:
    facts = TokenInfo(hub_id=1, scopes=("a", "b"))

    assert Access.of(facts, hub_id=1) == Access.of(TokenInfo(hub_id=1, scopes=("b", "a", "a")), hub_id=1)
    assert Access.of(facts, hub_id=1) != Access.of(TokenInfo(hub_id=1, scopes=("a",)), hub_id=1)
    assert Access.of(facts, hub_id=1) != Access.of(TokenInfo(hub_id=2, scopes=("a", "b")), hub_id=2)


@pytest.mark.parametrize(
    ("facts", "hub_id"),
    [
        (TokenInfo(hub_id=1), 1),
        (TokenInfo(scopes=("a",)), None),
        (TokenInfo(scopes=("a",)), 1),
        (TokenInfo(hub_id=1, scopes=("a",)), 2),
    ],
)
def test_where_portal_or_scopes_are_not_certain_nothing_is_kept(facts: TokenInfo, hub_id: int | None) -> None:
    assert Access.of(facts, hub_id=hub_id) is None


def test_notes_have_the_properties_of_all_their_kinds_each_once(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("notes", "hs_timestamp", "hs_note_body")
    given.define("calls", "hs_timestamp", "hs_call_title")

    listed = shop.job_definitions().show("a1", "u1", ListDefinitions(kind=ListKind.PROPERTIES, export_type=NOTES))

    assert {each.name: each.kinds for each in listed.listed.properties} == {
        "hs_timestamp": ("NOTE", "CALL"),
        "hs_note_body": ("NOTE",),
        "hs_call_title": ("CALL",),
    }
    assert len(given.asked) == 5  # no list of sensitive ones: activities have none


def test_a_kind_that_is_refused_costs_no_other(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("notes", "hs_note_body")
    given.lists[properties_of("emails")] = FORBIDDEN

    assert names(shop, NOTES) == ["hs_note_body"]


def test_where_all_kinds_are_refused_so_is_the_answer(shop: Workshop, given: GivenDefinitions) -> None:
    for path in ("notes", "calls", "emails", "meetings", "tasks"):
        given.lists[properties_of(path)] = FORBIDDEN

    with pytest.raises(FatalHubSpotError) as raised:
        names(shop, NOTES)

    assert (raised.value.status, raised.value.message) == (403, FORBIDDEN.message)


def test_refused_sensitive_lists_cost_no_other_and_are_not_asked_for_again(
    shop: Workshop, given: GivenDefinitions
) -> None:
    given.define("contacts", "email")
    given.lists[properties_of("contacts", Sensitivity.HIGH)] = FORBIDDEN

    assert [names(shop, CONTACTS) for _ in range(2)] == [["email"]] * 2

    assert len(given.asked) == 3


def test_a_refusal_of_what_was_asked_for_is_an_error_and_is_not_kept(shop: Workshop, given: GivenDefinitions) -> None:
    given.lists[properties_of("contacts")] = FORBIDDEN
    for _ in range(2):
        with pytest.raises(FatalHubSpotError):
            names(shop, CONTACTS)

    given.define("contacts", "email")

    assert names(shop, CONTACTS) == ["email"]


def test_owners_have_no_properties(shop: Workshop, given: GivenDefinitions) -> None:
    assert names(shop, OWNERS_OF) == []
    assert given.asked == []


def test_refused_schemas_are_told_and_not_an_error(shop: Workshop, given: GivenDefinitions) -> None:
    given.lists[SCHEMAS] = FORBIDDEN

    found = shop.job_definitions().show("a1", "u1", ListDefinitions(kind=ListKind.SCHEMAS))

    assert (found.listed.custom_types, found.listed.refused) == ((), FORBIDDEN.message)


@pytest.mark.parametrize(("status", "is_error"), [(400, False), (404, False), (403, True)])
def test_a_type_without_pipelines_has_none(
    shop: Workshop, given: GivenDefinitions, status: int, *, is_error: bool
) -> None:
    refusal = FatalHubSpotError("no", status=status)
    given.lists[DefinitionList(kind=ListKind.PIPELINES, path="contacts")] = refusal
    asked = ListDefinitions(kind=ListKind.PIPELINES, export_type=CONTACTS)

    if is_error:
        with pytest.raises(FatalHubSpotError):
            shop.job_definitions().show("a1", "u1", asked)
    else:
        assert shop.job_definitions().show("a1", "u1", asked).listed == Listed(status=status)


def test_pipelines_of_a_type_that_has_them_are_shown_and_their_refusal_is_an_error(
    shop: Workshop, given: GivenDefinitions
) -> None:
    wanted, asked = (
        DefinitionList(kind=ListKind.PIPELINES, path="deals"),
        ListDefinitions(kind=ListKind.PIPELINES, export_type=DEALS),
    )
    given.lists[wanted] = FatalHubSpotError("no", status=404)
    with pytest.raises(FatalHubSpotError):
        shop.job_definitions().show("a1", "u1", asked)

    given.lists[wanted] = Listed(pipelines=(Pipeline(id="default"),))

    assert shop.job_definitions().show("a1", "u1", asked).listed.pipelines == (Pipeline(id="default"),)


# Names


def check(shop: Workshop, *asked: str) -> dict[str, tuple[str, ...]]:
    question = CheckProperties(export_type=CONTACTS, names=asked)
    return dict(shop.job_definitions().check("a1", "u1", question).unknown)


def test_unknown_names_come_with_the_nearest(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", "email", "phone")

    assert check(shop, "email", "emial", "zzz") == {"emial": ("email",), "zzz": ()}


def test_sensitive_properties_are_known_and_asked_for_only_where_a_name_may_be_one(
    shop: Workshop, given: GivenDefinitions
) -> None:
    given.define("contacts", "email")
    given.define("contacts", "passport", sensitivity=Sensitivity.SENSITIVE)
    assert check(shop, "email") == {}
    assert given.asked == [properties_of("contacts")]

    assert check(shop, "passport") == {}


def test_a_property_that_was_just_made_is_known(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", "email")
    assert check(shop, "email") == {}
    shop.clock.advance(60)

    given.define("contacts", "email", "new")

    assert check(shop, "new") == {}


def test_a_name_that_stays_unknown_is_not_asked_about_with_every_request(
    shop: Workshop, given: GivenDefinitions
) -> None:
    given.define("contacts", "email")
    for _ in range(5):
        check(shop, "emial")

    assert len(given.asked) == 3


def test_all_properties_are_read_from_hubspot_itself(shop: Workshop, given: GivenDefinitions) -> None:
    given.define("contacts", "email")
    definitions = shop.job_definitions()
    definitions.find("a1", "u1", CONTACTS, ["email"])
    given.define("contacts", "email", "new")

    found = definitions.find("a1", "u1", CONTACTS, ["*"])

    assert ([each.name for each in found.plain], found.sensitive, found.calls) == (["email", "new"], (), 1)


# Calls


@dataclass
class Limit:
    """A RateLimiter that gives these reservations one after the other, and the last again and again."""

    reservations: Sequence[Reservation]
    asked: int = 0
    blocked: list[float] = field(default_factory=list)
    learned: list[Quota] = field(default_factory=list)

    def reserve(
        self,
        account_id: str,  # noqa: ARG002 - the seam's
        *,
        hub_id: int | None = None,
        within_s: float,  # noqa: ARG002 - the seam's
        low_priority: bool = False,  # noqa: ARG002 - the seam's
    ) -> Reservation:
        assert hub_id == HUB
        self.asked += 1
        return self.reservations[min(self.asked, len(self.reservations)) - 1]

    def learn(self, account_id: str, quota: Quota, *, hub_id: int | None = None) -> None:  # noqa: ARG002 - the seam's
        self.learned.append(quota)

    def block(self, account_id: str, *, hub_id: int | None = None, seconds: float) -> None:  # noqa: ARG002 - as above
        self.blocked.append(seconds)


def reader(shop: Workshop, limiter: Limit | NoRateLimit) -> DefinitionReader:
    return DefinitionReader(
        source=shop.definitions,
        cache=shop.definition_cache,
        tokens=shop.portal_tokens,
        facts=shop.introspector(),
        limiter=limiter,
        stopping=shop.stopping,
        monotonic=lambda: shop.clock().timestamp(),
    )


NOW, SOON = Reservation(wait_s=0, is_granted=True), Reservation(wait_s=0.2, is_granted=True)


@dataclass
class InPages:
    """A DefinitionSource of owners, each page with the cursor of the next."""

    cursors: list[str | None]
    asked: list[str | None] = field(default_factory=list)

    def fetch(
        self,
        wanted: DefinitionList,  # noqa: ARG002 - the seam's
        access_token: SecretStr,  # noqa: ARG002 - the seam's
        *,
        after: str | None,
        permit: Permit,  # noqa: ARG002 - the seam's
    ) -> DefinitionPage:
        self.asked.append(after)
        number = len(self.asked)
        return DefinitionPage(
            listed=Listed(owners=(Owner(id=str(number)),)),
            after=self.cursors[min(number, len(self.cursors)) - 1],
            quota=Quota(calls=100 + number, seconds=10, remaining=50),
        )


def test_all_pages_of_a_list_are_read_each_with_a_permit_of_its_own(shop: Workshop) -> None:
    limit, source = Limit([NOW]), InPages(["b", "c", None])
    reading = replace(reader(shop, limit), source=source).begin("a1", "u1")

    assert [each.id for each in reading.read(OWNERS).owners] == ["1", "2", "3"]

    assert (source.asked, limit.asked, reading.calls) == ([None, "b", "c"], 3, 3)
    assert [each.calls for each in limit.learned] == [101, 102, 103]


@pytest.mark.parametrize("cursors", [["a"], ["a", "b", "a"]])
def test_a_list_that_goes_round_in_circles_is_an_error(shop: Workshop, cursors: list[str | None]) -> None:
    reading = replace(reader(shop, NoRateLimit()), source=InPages(cursors)).begin("a1", "u1")

    with pytest.raises(FatalHubSpotError, match="does not end"):
        reading.read(OWNERS, required=True)


def test_a_call_waits_for_its_permit(shop: Workshop, given: GivenDefinitions) -> None:
    limit = Limit([Reservation(wait_s=3, is_granted=False), SOON])

    reader(shop, limit).begin("a1", "u1").read(OWNERS)

    assert (limit.asked, shop.stopping.waits[-2:], given.asked) == (2, [3, 0.2], [OWNERS])


def test_without_a_permit_for_long_no_call_is_made(shop: Workshop, given: GivenDefinitions) -> None:
    with pytest.raises(NoPermitError) as raised:
        reader(shop, Limit([Reservation(wait_s=60, is_granted=False)])).begin("a1", "u1").read(OWNERS)

    assert (raised.value.wait_s, given.asked) == (60, [])


def test_a_worker_that_stops_makes_no_call(shop: Workshop, given: GivenDefinitions) -> None:
    shop.stopping.set()

    with pytest.raises(CallAbandonedError):
        reader(shop, Limit([SOON])).begin("a1", "u1").read(OWNERS)

    assert given.asked == []


def test_a_permit_that_expired_is_replaced(shop: Workshop, given: GivenDefinitions) -> None:
    given.fails_once = [PermitExpiredError()]
    limit = Limit([NOW])

    reader(shop, limit).begin("a1", "u1").read(OWNERS)

    assert limit.asked == 2


def test_a_refused_token_is_renewed_once(shop: Workshop, given: GivenDefinitions) -> None:
    given.fails_once = [TokenRefusedError("expired", status=401)]
    reader(shop, NoRateLimit()).begin("a1", "u1").read(OWNERS)
    assert len(set(given.tokens)) == 2

    given.fails_once = [TokenRefusedError("expired", status=401)] * 2
    with pytest.raises(TokenRefusedError):
        reader(shop, NoRateLimit()).begin("a1", "u1", max_age_s=0).read(OWNERS)


def test_a_429_holds_all_calls_to_the_portal_back(shop: Workshop, given: GivenDefinitions) -> None:
    given.fails_once = [RateLimitedError("ten_secondly", status=429)]
    limit = Limit([NOW])

    with pytest.raises(RateLimitedError):
        reader(shop, limit).begin("a1", "u1").read(OWNERS)

    assert limit.blocked == [10]


def test_an_error_that_may_pass_is_neither_kept_nor_taken_for_a_refusal(
    shop: Workshop, given: GivenDefinitions
) -> None:
    given.fails_once = [RetryableHubSpotError("broken", status=502)]
    with pytest.raises(RetryableHubSpotError):
        reader(shop, NoRateLimit()).begin("a1", "u1").read(SCHEMAS)

    given.lists[SCHEMAS] = Listed(custom_types=(CARS,))

    assert reader(shop, NoRateLimit()).begin("a1", "u1").read(SCHEMAS).custom_types == (CARS,)


def connect(shop: Workshop, owner: str, hub_id: int) -> None:
    shop.tokens.put(
        Token(
            account_id="a1",
            owner=owner,
            access_token=None,
            refresh_token=SecretStr(f"refresh-{hub_id}"),
            generated_at=None,
            expires_in_s=None,
        )
    )
