"""TokenProvider: when a token is renewed, by whom, how HubSpot is asked, and what is written back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import mongomock
import pytest
import responses
from cryptography.fernet import Fernet
from pydantic import SecretStr
from requests import PreparedRequest

from tests.fakes.clock import ManualClock
from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.tokens import InMemoryRenewalLeases, InMemoryTokenEndpoints
from tests.patience import PATIENCE_S
from tests.unit.worker.hubspot_answers import BAD_REFRESH_TOKEN
from worker.accounts.encryption import TokenEncryption, is_encrypted
from worker.accounts.mongo.tokens import COLLECTION, MongoTokenStore
from worker.accounts.token import RenewalLease, RenewedToken, Token
from worker.errors import (
    FatalHubSpotError,
    HubSpotError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    StoreUnavailableError,
    TokenNotFoundError,
)
from worker.hubspot.oauth import token_source
from worker.hubspot.oauth.token_addresses import TokenAddresses
from worker.hubspot.oauth.token_endpoint import TokenEndpoint
from worker.hubspot.oauth.token_source import LEASE_S, TokenProvider
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens
from worker.hubspot.transport import Transport
from worker.mongo.database import Document, MongoDatabase

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
ENDPOINT = "https://api.hubapi.com/oauth/v1/token"
GRANT = {"token_type": "bearer", "access_token": "new-access", "refresh_token": "refresh", "expires_in": 1800}


@pytest.fixture
def database() -> MongoDatabase:
    fake: MongoDatabase = mongomock.MongoClient(tz_aware=True).db
    return fake


@pytest.fixture
def hubspot() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        yield mocked


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def leases(clock: ManualClock) -> InMemoryRenewalLeases:
    return InMemoryRenewalLeases(clock)


@dataclass
class Meanwhile:
    """What a source waits with: it moves the clock, and at the given look something happens elsewhere."""

    clock: ManualClock
    waits: list[float] = field(default_factory=list)
    at_look: int = 0
    happening: Callable[[], object] = lambda: None

    def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.clock.advance(seconds)
        if len(self.waits) == self.at_look:
            self.happening()


@pytest.fixture
def meanwhile(clock: ManualClock) -> Meanwhile:
    return Meanwhile(clock)


class FaultyTokenStore(MongoTokenStore):
    """A store whose next writes of a renewal fail; the first of them has written all the same."""

    failures = 0

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        saved = super().save_renewed(token, renewed)
        if self.failures > 0:
            self.failures -= 1
            raise StoreUnavailableError
        return saved


@pytest.fixture
def store(database: MongoDatabase) -> FaultyTokenStore:
    return FaultyTokenStore(database)


@pytest.fixture
def source(
    store: FaultyTokenStore, leases: InMemoryRenewalLeases, clock: ManualClock, meanwhile: Meanwhile
) -> TokenProvider:
    return source_of(store, leases, clock, meanwhile)


def source_of(  # noqa: PLR0913, PLR0917 - what a source works with, as the fixtures give it
    store: MongoTokenStore,
    leases: InMemoryRenewalLeases,
    clock: ManualClock,
    pause: Callable[[float], None],
    connections: InMemoryConnectionStore | None = None,
    client_id: str = "client",
    unwritten: UnwrittenTokens | None = None,
) -> TokenProvider:
    endpoint = TokenEndpoint(
        transport=Transport(),
        addresses=TokenAddresses(ENDPOINT, memory=InMemoryTokenEndpoints(clock)),
        client_id=client_id,
        client_secret=SecretStr("client-secret"),
    )
    return TokenProvider(
        store=store,
        leases=leases,
        endpoint=endpoint,
        client_id=client_id,
        connections=connections or InMemoryConnectionStore(),
        unwritten=unwritten or UnwrittenTokens(),
        clock=clock,
        pause=pause,
    )


def stored(database: MongoDatabase, **fields: Any) -> None:  # noqa: ANN401 - whatever a document may hold
    document = {
        "account_id": "a1",
        "owner": "u1",
        "access_token": "old-access",
        "refresh_token": "refresh",
        "expires_in": 1800,
        "generated_at": NOW - timedelta(minutes=10),
        "scopes_seen_by_another_program": ["contacts"],
    }
    database[COLLECTION].insert_one(document | fields)


def document_of(database: MongoDatabase) -> Document:
    found = database[COLLECTION].find_one()
    assert found is not None
    return found


def test_a_token_with_life_left_is_used_without_a_call(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database)
    assert source.get("a1", "u1").get_secret_value() == "old-access"
    assert len(hubspot.calls) == 0


def test_a_token_about_to_end_is_renewed_with_a_form_in_the_body(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database, generated_at=NOW - timedelta(seconds=1741))
    hubspot.post(ENDPOINT, json=GRANT)
    assert source.get("a1", "u1").get_secret_value() == "new-access"
    sent = hubspot.calls[0].request
    assert sent.url == ENDPOINT
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(str(sent.body)) == [
        ("grant_type", "refresh_token"),
        ("client_id", "client"),
        ("client_secret", "client-secret"),
        ("refresh_token", "refresh"),
    ]


def test_a_renewal_is_written_back_and_nothing_else_is_touched(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database, generated_at=0)
    hubspot.post(ENDPOINT, json=GRANT | {"refresh_token": "rotated", "expires_in": 900})
    source.get("a1", "u1")
    document = document_of(database)
    assert document["access_token"] == "new-access"
    assert document["refresh_token"] == "rotated"
    assert document["expires_in"] == 900
    assert document["generated_at"] == NOW
    assert document["scopes_seen_by_another_program"] == ["contacts"]
    source.get("a1", "u1")
    assert len(hubspot.calls) == 1


def test_a_token_that_hubspot_refused_is_renewed_however_young_it_is(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database)
    hubspot.post(ENDPOINT, json=GRANT)
    assert source.get("a1", "u1", rejected=SecretStr("old-access")).get_secret_value() == "new-access"


def test_a_401_has_a_token_renewed_once_a_minute(
    source: TokenProvider, database: MongoDatabase, hubspot: responses.RequestsMock, clock: ManualClock
) -> None:
    """Right after a renewal a token may meet 401 for some seconds: another one would fare no better."""
    stored(database)
    hubspot.post(ENDPOINT, json=GRANT)
    renewed = source.get("a1", "u1", rejected=SecretStr("old-access"))
    for _ in range(3):
        assert source.get("a1", "u1", rejected=renewed) == renewed
    assert len(hubspot.calls) == 1
    clock.advance(61)
    source.get("a1", "u1", rejected=renewed)
    assert len(hubspot.calls) == 2


def test_a_renewal_that_failed_does_not_keep_a_401_from_asking_for_another(
    source: TokenProvider, database: MongoDatabase, hubspot: responses.RequestsMock
) -> None:
    stored(database)
    hubspot.post(ENDPOINT, status=502)
    hubspot.post(ENDPOINT, json=GRANT)
    with pytest.raises(RetryableHubSpotError):
        source.get("a1", "u1", rejected=SecretStr("old-access"))
    assert source.get("a1", "u1", rejected=SecretStr("old-access")).get_secret_value() == "new-access"


def test_a_dead_refresh_token_does_not_keep_one_that_another_program_stores_from_being_used(
    source: TokenProvider, database: MongoDatabase, hubspot: responses.RequestsMock
) -> None:
    stored(database)
    hubspot.post(ENDPOINT, status=400, json={"status": "BAD_REFRESH_TOKEN", "message": "revoked"})
    hubspot.post(ENDPOINT, json=GRANT)
    with pytest.raises(ReconnectRequiredError):
        source.get("a1", "u1", rejected=SecretStr("old-access"))
    database["integrations.hubspot.key"].update_many({}, {"$set": {"refresh_token": "stored-by-another-program"}})
    assert source.get("a1", "u1", rejected=SecretStr("old-access")).get_secret_value() == "new-access"


def test_a_token_past_its_time_is_renewed_however_lately_a_401_asked_for_it(
    source: TokenProvider, database: MongoDatabase, hubspot: responses.RequestsMock
) -> None:
    stored(database)
    hubspot.post(ENDPOINT, json=GRANT)
    renewed = source.get("a1", "u1", rejected=SecretStr("old-access"))
    database["integrations.hubspot.key"].update_many({}, {"$set": {"expires_in": 0}})
    source.get("a1", "u1", rejected=renewed)
    assert len(hubspot.calls) == 2


def test_threads_that_need_the_same_token_at_once_renew_it_once(
    source: TokenProvider, database: MongoDatabase, hubspot: responses.RequestsMock
) -> None:
    stored(database, generated_at=None)
    together = threading.Barrier(8)

    def need(_: int) -> str:
        together.wait(timeout=PATIENCE_S)
        return source.get("a1", "u1").get_secret_value()

    hubspot.post(ENDPOINT, json=GRANT)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(need, range(8))) == {"new-access"}
    assert len(hubspot.calls) == 1


def test_a_token_that_someone_else_renewed_meanwhile_is_used(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database)
    assert source.get("a1", "u1", rejected=SecretStr("older-access")).get_secret_value() == "old-access"
    assert len(hubspot.calls) == 0


def test_a_dead_refresh_token_is_the_users_to_mend(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database, generated_at=None)
    hubspot.post(ENDPOINT, status=400, json=BAD_REFRESH_TOKEN)
    with pytest.raises(ReconnectRequiredError):
        source.get("a1", "u1")
    assert document_of(database)["access_token"] == "old-access"


def test_a_document_without_a_refresh_token_is_the_users_to_mend(
    source: TokenProvider, database: MongoDatabase
) -> None:
    stored(database, generated_at=None, refresh_token=None)
    with pytest.raises(ReconnectRequiredError):
        source.get("a1", "u1")


def test_no_document_is_said_by_name(source: TokenProvider) -> None:
    with pytest.raises(TokenNotFoundError):
        source.get("a1", "nobody")


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"status": 503}, RetryableHubSpotError),
        ({"status": 200, "body": "<html>"}, RetryableHubSpotError),
        ({"status": 200, "json": {"access_token": "", "expires_in": 1800}}, RetryableHubSpotError),
        ({"status": 403, "json": {"message": "forbidden"}}, FatalHubSpotError),
        ({"status": 400, "json": {"message": "unknown client"}}, FatalHubSpotError),
    ],
)
def test_a_token_endpoint_that_fails_leaves_the_document_as_it_was(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    answer: dict[str, Any],
    kind: type[Exception],
) -> None:
    stored(database, generated_at=None)
    before = document_of(database)
    hubspot.post(ENDPOINT, **answer)
    with pytest.raises(kind):
        source.get("a1", "u1")
    assert document_of(database) == before


# One refresher


def during_the_call(
    hubspot: responses.RequestsMock, happening: Callable[[], object], status: int, body: object
) -> None:
    """Answer the token endpoint's next call, with something happening before the answer is there."""

    def answer(_: PreparedRequest) -> tuple[int, dict[str, str], bytes]:
        happening()
        return status, {}, json.dumps(body).encode()

    hubspot.add_callback("POST", ENDPOINT, callback=answer)


def elsewhere(leases: InMemoryRenewalLeases) -> RenewalLease:
    """Let another worker renew the token of the usual account and owner."""
    lease = leases.acquire("a1", "u1", lease_s=LEASE_S)
    assert lease is not None
    return lease


def renewed_by(database: MongoDatabase, access_token: str) -> None:
    """Store what another worker has got."""
    database[COLLECTION].update_one({}, {"$set": {"access_token": access_token, "generated_at": NOW}})


def test_a_lease_is_kept_alive_for_as_long_as_hubspot_takes(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(token_source, "LEASE_S", 0.03)
    stored(database, generated_at=None)
    extended = threading.Semaphore(0)
    leases.when_extended = extended.release
    kept: list[bool] = []
    during_the_call(hubspot, lambda: kept.extend(extended.acquire(timeout=PATIENCE_S) for _ in range(3)), 200, GRANT)

    source.get("a1", "u1")

    assert kept == [True] * 3


def test_who_finds_another_worker_renewing_waits_and_uses_what_that_one_got(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
    meanwhile: Meanwhile,
) -> None:
    stored(database, generated_at=None)
    elsewhere(leases)
    meanwhile.at_look, meanwhile.happening = 3, lambda: renewed_by(database, "their-access")

    assert source.get("a1", "u1").get_secret_value() == "their-access"

    assert len(hubspot.calls) == 0
    assert len(meanwhile.waits) == 3
    assert all(0.1 <= wait_s <= 0.2 for wait_s in meanwhile.waits)


def test_the_token_that_hubspot_refused_is_waited_out(
    source: TokenProvider,
    database: MongoDatabase,
    leases: InMemoryRenewalLeases,
    meanwhile: Meanwhile,
) -> None:
    stored(database)
    elsewhere(leases)
    meanwhile.at_look, meanwhile.happening = 2, lambda: renewed_by(database, "their-access")

    renewed = source.get("a1", "u1", rejected=SecretStr("old-access"))

    assert renewed.get_secret_value() == "their-access"


def test_after_five_seconds_the_job_is_to_wait_and_not_the_worker(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
    meanwhile: Meanwhile,
) -> None:
    stored(database, generated_at=None)
    elsewhere(leases)

    with pytest.raises(RetryableHubSpotError) as rejected:
        source.get("a1", "u1")

    assert rejected.value.retry_after_s == 1
    assert 4.5 <= sum(meanwhile.waits) <= 5.5
    assert len(hubspot.calls) == 0


def test_a_killed_refresher_costs_the_rest_of_its_lease_and_no_more(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
    clock: ManualClock,
) -> None:
    stored(database, generated_at=None)
    hubspot.post(ENDPOINT, json=GRANT)
    elsewhere(leases)
    clock.advance(LEASE_S - 1)

    assert source.get("a1", "u1").get_secret_value() == "new-access"

    assert len(hubspot.calls) == 1


def test_who_sees_a_refresher_give_up_asks_hubspot_itself(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
    meanwhile: Meanwhile,
) -> None:
    stored(database, generated_at=None)
    hubspot.post(ENDPOINT, json=GRANT)
    lease = elsewhere(leases)
    meanwhile.at_look, meanwhile.happening = 2, lambda: leases.release(lease)

    assert source.get("a1", "u1").get_secret_value() == "new-access"

    assert len(meanwhile.waits) == 2


class LateLeases(InMemoryRenewalLeases):
    """Leases that are given after someone else has renewed and gone."""

    happening: Callable[[], object] = staticmethod(lambda: None)

    def acquire(self, account_id: str, owner: str, *, lease_s: float, for_refused: bool = False) -> RenewalLease | None:
        self.happening()
        return super().acquire(account_id, owner, lease_s=lease_s, for_refused=for_refused)


def test_with_the_lease_in_hand_the_token_is_read_once_more(
    database: MongoDatabase,
    store: FaultyTokenStore,
    hubspot: responses.RequestsMock,
    clock: ManualClock,
    meanwhile: Meanwhile,
) -> None:
    stored(database, generated_at=None)
    leases = LateLeases(clock)
    leases.happening = lambda: renewed_by(database, "their-access")
    source = source_of(store, leases, clock, meanwhile)

    assert source.get("a1", "u1").get_secret_value() == "their-access"

    assert len(hubspot.calls) == 0


@pytest.mark.parametrize("status", [200, 400, 503])
def test_the_lease_is_given_back_whatever_hubspot_says(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
    status: int,
) -> None:
    stored(database, generated_at=None)
    hubspot.post(ENDPOINT, status=status, json=GRANT if status == 200 else BAD_REFRESH_TOKEN)

    with suppress(HubSpotError):
        source.get("a1", "u1")

    assert leases.acquire("a1", "u1", lease_s=LEASE_S) is not None


def test_a_lease_that_cannot_be_given_back_does_not_cost_the_token(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
) -> None:
    def mongodb_goes_away() -> None:
        leases.is_away = True

    stored(database, generated_at=None)
    during_the_call(hubspot, mongodb_goes_away, 200, GRANT)

    assert source.get("a1", "u1").get_secret_value() == "new-access"

    assert document_of(database)["access_token"] == "new-access"


class WatchedTokenStore(MongoTokenStore):
    """A store that tells how often it was read."""

    def __init__(self, database: MongoDatabase) -> None:
        super().__init__(database)
        self.read = threading.Semaphore(0)

    def find(self, account_id: str, owner: str) -> Token | None:
        token = super().find(account_id, owner)
        self.read.release()
        return token


def test_of_the_threads_of_a_process_one_at_a_time_looks(
    database: MongoDatabase, leases: InMemoryRenewalLeases, clock: ManualClock
) -> None:
    stored(database, generated_at=None)
    elsewhere(leases)
    store, looks, before = WatchedTokenStore(database), count(1), leases.asked

    def pause(_: float) -> None:
        look = next(looks)
        if look == 1:
            assert all(
                store.read.acquire(timeout=PATIENCE_S) for _ in range(32)
            )  # every thread has seen that it has ended
        if look == 10:
            renewed_by(database, "their-access")

    source = source_of(store, leases, clock, pause)
    with ThreadPoolExecutor(32) as threads:
        given = threads.map(lambda _: source.get("a1", "u1").get_secret_value(), range(32))

    assert set(given) == {"their-access"}
    assert leases.asked - before == 10


def test_another_account_does_not_wait(
    source: TokenProvider,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
    meanwhile: Meanwhile,
) -> None:
    stored(database, account_id="a2", generated_at=None)
    hubspot.post(ENDPOINT, json=GRANT)
    elsewhere(leases)

    assert source.get("a2", "u1").get_secret_value() == "new-access"

    assert meanwhile.waits == []


# What comes between the answer and the document


def test_who_connects_anew_during_a_renewal_keeps_what_was_connected(
    source: TokenProvider, database: MongoDatabase, store: FaultyTokenStore, hubspot: responses.RequestsMock
) -> None:
    connected = RenewedToken(
        access_token=SecretStr("connected-access"),
        refresh_token=SecretStr("connected-refresh"),
        expires_in_s=1800,
        generated_at=NOW,
    )
    stored(database, generated_at=None)
    during_the_call(hubspot, lambda: store.connect("a1", "u1", connected), 200, GRANT)

    assert source.get("a1", "u1").get_secret_value() == "connected-access"

    assert document_of(database)["refresh_token"] == "connected-refresh"


def test_a_dead_refresh_token_is_no_matter_once_another_has_been_connected(
    source: TokenProvider, database: MongoDatabase, hubspot: responses.RequestsMock
) -> None:
    stored(database, generated_at=None)
    during_the_call(hubspot, lambda: renewed_by(database, "connected-access"), 400, BAD_REFRESH_TOKEN)

    assert source.get("a1", "u1").get_secret_value() == "connected-access"


def test_a_token_that_is_removed_during_a_renewal_stays_removed(
    source: TokenProvider, database: MongoDatabase, hubspot: responses.RequestsMock
) -> None:
    stored(database, generated_at=None)
    during_the_call(hubspot, lambda: database[COLLECTION].delete_one({}), 200, GRANT)

    with pytest.raises(TokenNotFoundError):
        source.get("a1", "u1")

    assert database[COLLECTION].count_documents({}) == 0


@pytest.mark.parametrize("rotated", ["refresh", "rotated"])
def test_a_renewal_is_written_a_second_time_when_the_first_may_not_have_arrived(
    source: TokenProvider,
    database: MongoDatabase,
    store: FaultyTokenStore,
    hubspot: responses.RequestsMock,
    rotated: str,
) -> None:
    stored(database, generated_at=None)
    store.failures = 1
    hubspot.post(ENDPOINT, json=GRANT | {"refresh_token": rotated})

    assert source.get("a1", "u1").get_secret_value() == "new-access"

    assert document_of(database)["refresh_token"] == rotated
    assert len(hubspot.calls) == 1


def test_a_renewal_that_cannot_be_written_is_used_all_the_same(
    source: TokenProvider, database: MongoDatabase, store: FaultyTokenStore, hubspot: responses.RequestsMock
) -> None:
    stored(database, generated_at=None)
    store.failures = 2
    hubspot.post(ENDPOINT, json=GRANT)

    assert source.get("a1", "u1").get_secret_value() == "new-access"


# At rest


def test_a_renewal_of_a_plain_token_is_stored_encrypted_and_used(
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    leases: InMemoryRenewalLeases,
    clock: ManualClock,
    meanwhile: Meanwhile,
) -> None:
    encryption = TokenEncryption([SecretStr(Fernet.generate_key().decode())])
    source = source_of(MongoTokenStore(database, encryption), leases, clock, meanwhile)
    stored(database, generated_at=None)
    hubspot.post(ENDPOINT, json=GRANT)

    given = [source.get("a1", "u1").get_secret_value() for _ in range(2)]

    assert given == ["new-access", "new-access"]
    assert len(hubspot.calls) == 1
    assert is_encrypted(document_of(database)["access_token"])
    assert is_encrypted(document_of(database)["refresh_token"])


def test_without_its_key_a_job_waits_until_the_key_is_back(
    source: TokenProvider, database: MongoDatabase, hubspot: responses.RequestsMock
) -> None:
    encryption = TokenEncryption([SecretStr(Fernet.generate_key().decode())])
    stored(database, access_token=encryption.encrypt(SecretStr("access")))

    with pytest.raises(RetryableHubSpotError) as rejected:
        source.get("a1", "u1")

    assert "TOKEN_ENCRYPTION_KEYS" in rejected.value.message
    assert rejected.value.retry_after_s == 60
    assert len(hubspot.calls) == 0
