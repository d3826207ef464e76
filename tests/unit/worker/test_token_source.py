"""RenewingTokenSource: when a token is renewed, how HubSpot is asked, and what is written back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

import mongomock
import pytest
import responses
from pydantic import SecretStr

from tests.unit.worker.hubspot_answers import BAD_REFRESH_TOKEN
from worker.errors import (
    FatalHubSpotError,
    ReconnectRequiredError,
    RetryableHubSpotError,
    TokenNotFoundError,
)
from worker.hubspot.tokens import RenewingTokenSource
from worker.hubspot.transport import Transport
from worker.mongo.connection import Document, MongoDatabase
from worker.mongo.tokens import COLLECTION, MongoTokenStore

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
def source(database: MongoDatabase) -> RenewingTokenSource:
    return RenewingTokenSource(
        store=MongoTokenStore(database),
        transport=Transport(),
        endpoint=ENDPOINT,
        client_id="client",
        client_secret=SecretStr("client-secret"),
        clock=lambda: NOW,
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
    source: RenewingTokenSource,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database)
    assert source.fresh("a1", "u1").get_secret_value() == "old-access"
    assert len(hubspot.calls) == 0


def test_a_token_about_to_end_is_renewed_with_a_form_in_the_body(
    source: RenewingTokenSource,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database, generated_at=NOW - timedelta(seconds=1741))
    hubspot.post(ENDPOINT, json=GRANT)
    assert source.fresh("a1", "u1").get_secret_value() == "new-access"
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
    source: RenewingTokenSource,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database, generated_at=0)
    hubspot.post(ENDPOINT, json=GRANT | {"refresh_token": "rotated", "expires_in": 900})
    source.fresh("a1", "u1")
    document = document_of(database)
    assert document["access_token"] == "new-access"
    assert document["refresh_token"] == "rotated"
    assert document["expires_in"] == 900
    assert document["generated_at"] == NOW
    assert document["scopes_seen_by_another_program"] == ["contacts"]
    source.fresh("a1", "u1")
    assert len(hubspot.calls) == 1


def test_a_token_that_hubspot_refused_is_renewed_however_young_it_is(
    source: RenewingTokenSource,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database)
    hubspot.post(ENDPOINT, json=GRANT)
    assert source.fresh("a1", "u1", refused=SecretStr("old-access")).get_secret_value() == "new-access"


def test_threads_that_need_the_same_token_at_once_renew_it_once(
    source: RenewingTokenSource, database: MongoDatabase, hubspot: responses.RequestsMock
) -> None:
    stored(database, generated_at=None)
    together = threading.Barrier(8)

    def need(_: int) -> str:
        together.wait(timeout=10)
        return source.fresh("a1", "u1").get_secret_value()

    hubspot.post(ENDPOINT, json=GRANT)
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(need, range(8))) == {"new-access"}
    assert len(hubspot.calls) == 1


def test_a_token_that_someone_else_renewed_meanwhile_is_used(
    source: RenewingTokenSource,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database)
    assert source.fresh("a1", "u1", refused=SecretStr("older-access")).get_secret_value() == "old-access"
    assert len(hubspot.calls) == 0


def test_a_dead_refresh_token_is_the_users_to_mend(
    source: RenewingTokenSource,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
) -> None:
    stored(database, generated_at=None)
    hubspot.post(ENDPOINT, status=400, json=BAD_REFRESH_TOKEN)
    with pytest.raises(ReconnectRequiredError):
        source.fresh("a1", "u1")
    assert document_of(database)["access_token"] == "old-access"


def test_a_document_without_a_refresh_token_is_the_users_to_mend(
    source: RenewingTokenSource, database: MongoDatabase
) -> None:
    stored(database, generated_at=None, refresh_token=None)
    with pytest.raises(ReconnectRequiredError):
        source.fresh("a1", "u1")


def test_no_document_is_said_by_name(source: RenewingTokenSource) -> None:
    with pytest.raises(TokenNotFoundError):
        source.fresh("a1", "nobody")


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
    source: RenewingTokenSource,
    database: MongoDatabase,
    hubspot: responses.RequestsMock,
    answer: dict[str, Any],
    kind: type[Exception],
) -> None:
    stored(database, generated_at=None)
    before = document_of(database)
    hubspot.post(ENDPOINT, **answer)
    with pytest.raises(kind):
        source.fresh("a1", "u1")
    assert document_of(database) == before
