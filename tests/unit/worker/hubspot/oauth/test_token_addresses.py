"""TokenAddresses: which token endpoint is asked where one is gone, and what is remembered of that."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from sandbox.fake_hubspot.transport.mounting import HUBSPOT_URL
from tests.fakes.clock import ManualClock
from tests.fakes.tokens import InMemoryTokenEndpoints
from tests.unit.worker.account_world import HUB, AccountWorld
from worker.accounts.connection import TokenInfo
from worker.errors import (
    FatalHubSpotError,
    HubSpotError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    TokenEndpointGoneError,
)
from worker.hubspot.oauth.token_addresses import TokenAddresses, other_version_of

V1, DATED = "https://api.hubapi.com/oauth/v1/token", "https://api.hubapi.com/oauth/2026-03/token"
OTHER = {V1: DATED, DATED: V1}


@pytest.mark.parametrize(
    ("url", "other"),
    [
        (V1, DATED),
        (DATED, V1),
        ("https://api.hubapi.com/oauth/2026-09/token", DATED),
        ("https://api.hubapi.com/oauth/v3/token", DATED),
        (
            "https://api-eu1.hubapi.com:8443/proxy/oauth/v1/token/?a=1",
            "https://api-eu1.hubapi.com:8443/proxy/oauth/2026-03/token?a=1",
        ),
        ("http://127.0.0.1:9/oauth/2026-03/token", "http://127.0.0.1:9/oauth/v1/token"),
        ("https://proxy.example.test/token", None),
        ("https://proxy.example.test/oauth/token", None),
        ("https://proxy.example.test/oauth/v1/tokens", None),
        ("https://proxy.example.test/oauth/v1/token/refresh", None),
        ("https://proxy.example.test/oauth/hub/token", None),
    ],
)
def test_the_other_version_is_at_the_same_place(url: str, other: str | None) -> None:
    assert other_version_of(url) == other


@dataclass
class Endpoints:
    """Token endpoints, some of which fail; one set of workers that share what they remember."""

    failures: dict[str, HubSpotError] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        self.memory = InMemoryTokenEndpoints(self.clock)

    def worker(self, url: str = DATED) -> TokenAddresses:
        return TokenAddresses(url, memory=self.memory)

    def call(self, url: str) -> str:
        self.asked.append(url)
        if url in self.failures:
            raise self.failures[url]
        return f"answer of {url}"

    def asked_by(self, worker: TokenAddresses) -> list[str]:
        """Return which endpoints a call asks, and in which order."""
        self.asked.clear()
        worker.ask(self.call)
        return list(self.asked)


def missing(status: int = 404) -> HubSpotError:
    return FatalHubSpotError("resource not found", status=status)


@pytest.mark.parametrize("url", [V1, DATED])
def test_the_one_that_is_set_is_asked(url: str) -> None:
    endpoints = Endpoints()

    assert endpoints.worker(url).ask(endpoints.call) == f"answer of {url}"
    assert (endpoints.asked, endpoints.memory.known()) == ([url], [])


@pytest.mark.parametrize("url", [V1, DATED])
@pytest.mark.parametrize("status", [404, 410])
def test_where_it_is_gone_the_other_is_asked_at_once_for_that_call_alone(url: str, status: int) -> None:
    endpoints = Endpoints({url: missing(status)})
    worker = endpoints.worker(url)

    assert worker.ask(endpoints.call) == f"answer of {OTHER[url]}"
    assert endpoints.asked == [url, OTHER[url]]
    del endpoints.failures[url]

    assert endpoints.asked_by(worker) == [url]
    assert endpoints.memory.known() == []


def test_said_twice_a_minute_apart_it_is_remembered_for_all_workers() -> None:
    endpoints = Endpoints({DATED: missing()})
    workers = [endpoints.worker(), endpoints.worker()]
    first_at = endpoints.clock()

    asked = []
    for number in range(5):
        asked.append(endpoints.asked_by(workers[number % 2]))
        endpoints.clock.advance(20)

    assert asked == [[DATED, V1]] * 4 + [[V1]]
    (known,) = endpoints.memory.known()
    assert (known.url, known.status, known.reason) == (DATED, 404, "resource not found")
    assert (known.first_at, known.moved_at) == (first_at, known.last_at)
    assert (known.last_at - first_at).total_seconds() == 60


def test_two_that_lie_further_apart_than_a_day_are_two_beginnings() -> None:
    endpoints = Endpoints({DATED: missing()})
    endpoints.asked_by(endpoints.worker())
    endpoints.clock.advance(86_400)

    endpoints.asked_by(endpoints.worker())

    assert [known.moved_at for known in endpoints.memory.known()] == [None]


def moved(endpoints: Endpoints) -> TokenAddresses:
    """Return a worker once it is remembered that the endpoint that is set is gone."""
    endpoints.failures[DATED] = missing()
    for _ in range(2):
        endpoints.worker().ask(endpoints.call)
        endpoints.clock.advance(60)
    return endpoints.worker()


def test_what_is_remembered_outlives_the_end_of_its_cause_until_someone_takes_it_back() -> None:
    endpoints = Endpoints()
    worker = moved(endpoints)
    endpoints.failures.clear()
    endpoints.clock.advance(10 * 86_400)
    assert endpoints.asked_by(worker) == [V1]

    endpoints.memory.forget(DATED)

    assert endpoints.asked_by(worker) == [DATED]


def test_where_the_other_is_gone_in_its_turn_the_first_is_asked_again() -> None:
    endpoints = Endpoints()
    worker = moved(endpoints)
    endpoints.failures = {V1: missing(410)}

    assert endpoints.asked_by(worker) == [V1, DATED]
    assert endpoints.asked_by(worker) == [DATED]
    assert endpoints.memory.known() == []


@pytest.mark.parametrize("is_moved", [False, True])
def test_where_there_is_neither_the_setting_is_named_and_nothing_remembered(*, is_moved: bool) -> None:
    endpoints = Endpoints()
    worker = moved(endpoints) if is_moved else endpoints.worker()
    endpoints.failures = {V1: missing(), DATED: missing()}

    with pytest.raises(TokenEndpointGoneError, match="HUBSPOT_TOKEN_ENDPOINT") as raised:
        worker.ask(endpoints.call)

    assert isinstance(raised.value, RetryableHubSpotError)
    assert raised.value.code == "hubspot_error"
    assert endpoints.memory.known() == []


def test_an_address_without_another_version_names_the_setting_too() -> None:
    endpoints = Endpoints({"https://proxy.example.test/token": missing()})

    with pytest.raises(TokenEndpointGoneError, match="HUBSPOT_TOKEN_ENDPOINT"):
        endpoints.worker("https://proxy.example.test/token").ask(endpoints.call)

    assert endpoints.memory.known() == []


@pytest.mark.parametrize(
    "error",
    [
        ReconnectRequiredError("refresh token is invalid", status=404),
        ReconnectRequiredError("refresh token is invalid", status=400),
        FatalHubSpotError("forbidden", status=403),
        RetryableHubSpotError("busy", status=503),
        RetryableHubSpotError("no answer"),
    ],
)
def test_any_other_failure_is_the_endpoints_own(error: HubSpotError) -> None:
    endpoints = Endpoints({DATED: error})

    with pytest.raises(type(error)):
        endpoints.worker().ask(endpoints.call)

    assert (endpoints.asked, endpoints.memory.known()) == ([DATED], [])


def test_the_others_failure_is_told_as_it_is() -> None:
    endpoints = Endpoints({DATED: missing(), V1: RetryableHubSpotError("busy", status=503)})

    with pytest.raises(RetryableHubSpotError, match="busy"):
        endpoints.worker().ask(endpoints.call)


def test_while_the_database_is_away_what_was_known_last_holds() -> None:
    endpoints = Endpoints()
    worker = moved(endpoints)
    endpoints.asked_by(worker)
    endpoints.memory.is_away = True

    assert endpoints.asked_by(worker) == [V1]
    assert endpoints.asked_by(endpoints.worker()) == [DATED, V1]
    endpoints.failures[V1] = missing()
    with pytest.raises(TokenEndpointGoneError):
        worker.ask(endpoints.call)


ADDRESS = "https://user:secret@proxy.example.test/oauth/v1/token?key=secret"


def test_of_an_address_its_path_alone_is_logged() -> None:
    endpoints = Endpoints({ADDRESS: missing()})

    with capture_logs() as logs:
        endpoints.worker(ADDRESS).ask(endpoints.call)

    assert [(line["event"], line["path"]) for line in logs] == [("token_endpoint_gone", "/oauth/v1/token")]
    assert "secret" not in str(logs) + str(endpoints.memory.known())
    assert [known.url for known in endpoints.memory.known()] == ["https://proxy.example.test/oauth/v1/token"]


# What goes by the endpoint in use


@pytest.mark.parametrize(
    ("url", "others"), [("/oauth/v1/token", "/oauth/2026"), ("/oauth/2026-03/token", "/oauth/v1/")]
)
@pytest.mark.parametrize("type_", ["token", "token-info"])
def test_a_connection_works_whichever_of_the_two_is_gone(
    world: AccountWorld, url: str, others: str, type_: str
) -> None:
    world.token_path = url
    world.store_token(is_live=type_ == "token-info")
    prefix = url.removesuffix("token")
    world.hubspot.fail_next("not_found", path=prefix, times=None)

    assert world.introspector.look("a1", "u1").hub_id == HUB

    paths = [call.path for call in world.hubspot.journal.calls if call.type == type_]
    assert [path.startswith(prefix) for path in paths] == [True, False]
    assert paths[1].startswith(others)


def test_introspection_goes_where_tokens_come_from(world: AccountWorld) -> None:
    world.token_path = "/oauth/2026-03/token"
    for _ in range(2):
        world.endpoints.note_gone(f"{HUBSPOT_URL}{world.token_path}", status=404, reason="gone")
        world.clock.advance(60)
    world.store_token()

    assert world.introspector.look("a1", "u1").hub_id == HUB

    (call,) = world.hubspot.journal.calls
    assert call.path.startswith("/oauth/v1/access-tokens/")


def test_where_nothing_is_left_of_oauth_the_setting_is_named(world: AccountWorld) -> None:
    world.token_path = "/oauth/2026-09/token"
    world.store_token()
    world.hubspot.fail_next("not_found", path="/oauth/", times=None)

    with pytest.raises(TokenEndpointGoneError, match="HUBSPOT_TOKEN_ENDPOINT"):
        world.introspector.look("a1", "u1")

    world.store_token(is_live=False)
    with pytest.raises(TokenEndpointGoneError, match="HUBSPOT_TOKEN_ENDPOINT"):
        world.source.get("a1", "u1")
    known = world.connections.find("a1", "u1")
    assert known is None or known.refusal is None


def test_a_code_is_exchanged_at_the_other_version(world: AccountWorld) -> None:
    world.token_path = "/oauth/2026-03/token"
    world.hubspot.fail_next("not_found", path="/oauth/2026-03/", times=None)
    code = world.hubspot.tokens.issue_code(HUB, redirect_uri="https://app.test/cb").value

    grant = world.endpoint.exchange(SecretStr(code), redirect_uri="https://app.test/cb")

    assert grant.facts == TokenInfo(hub_id=HUB, user_id=7, scopes=tuple(world.hubspot.accounts[HUB].settings.scopes))
