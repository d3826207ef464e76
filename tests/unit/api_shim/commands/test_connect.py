"""`connect`: what is taken for a token, and what is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import mongomock
import pytest
from click.testing import CliRunner

from api_shim.cli import main
from api_shim.commands.accounts.token_input import new_token, token_from_json
from api_shim.commands.outside import Outside
from worker.accounts.mongo.tokens import COLLECTION, MongoTokenStore
from worker.accounts.token import RenewedToken
from worker.mongo.database import MongoDatabase

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
FROM_HUBSPOT = {"refresh_token": "refresh-1", "access_token": "access-1", "expires_in": 1800, "token_type": "bearer"}


@pytest.fixture
def database() -> MongoDatabase:
    database: Any = mongomock.MongoClient(tz_aware=True)["test"]
    given: MongoDatabase = database
    return given


def read(**changes: object) -> RenewedToken:
    fields = {name: value for name, value in {**FROM_HUBSPOT, **changes}.items() if value is not None}
    return token_from_json(json.dumps(fields).encode(), clock=lambda: NOW)


def store(database: MongoDatabase, token: RenewedToken, *, account_id: str = "7", owner: str = "me") -> bool:
    return MongoTokenStore(database).connect(account_id, owner, token)


def test_what_hubspot_answers_is_stored_and_usable(database: MongoDatabase) -> None:
    assert store(database, read())
    document = database[COLLECTION].find_one({}, {"_id": 0})
    assert document == {
        "account_id": "7",
        "owner": "me",
        "refresh_token": "refresh-1",
        "access_token": "access-1",
        "expires_in": 1800,
        "generated_at": NOW,
    }
    found = MongoTokenStore(database).find("7", "me")
    assert found is not None
    assert found.usable_access_token(at=NOW) is not None


def test_twice_is_as_good_as_once(database: MongoDatabase) -> None:
    assert [store(database, read()), store(database, read())] == [True, False]
    assert database[COLLECTION].count_documents({}) == 1


def test_fields_of_other_programs_stay(database: MongoDatabase) -> None:
    database[COLLECTION].insert_one({"account_id": 7, "owner": "me", "access_token": "old", "portal": "EU"})
    assert not store(database, read())
    document = database[COLLECTION].find_one({})
    assert document is not None
    assert (document["account_id"], document["portal"], document["access_token"]) == (7, "EU", "access-1")


@pytest.mark.parametrize("changes", [{"access_token": None}, {"expires_in": None}, {"access_token": ""}])
def test_an_access_token_whose_life_is_not_known_is_renewed_first(
    database: MongoDatabase, changes: dict[str, object]
) -> None:
    store(database, read(**changes))
    found = MongoTokenStore(database).find("7", "me")
    assert found is not None
    assert found.refresh_token is not None
    assert found.usable_access_token(at=NOW) is None


def test_a_token_may_say_when_it_was_made() -> None:
    assert read(generated_at="2026-11-23T15:30:00+01:00").generated_at == datetime(2026, 11, 23, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"refresh_token": None}, "refresh_token"),
        ({"refresh_token": ""}, "refresh_token"),
        ({"refresh_token": "secret with-space"}, "refresh_token"),
        ({"refresh_token": "secret\n"}, "refresh_token"),
        ({"refresh_token": "secret\u00e9"}, "refresh_token"),
        ({"refresh_token": 7}, "refresh_token"),
        ({"access_token": "secret\x00"}, "access_token"),
        ({"access_token": "secret" * 2000}, "access_token"),
        ({"expires_in": 0}, "expires_in"),
        ({"expires_in": "secret"}, "expires_in"),
        ({"generated_at": "2026-11-23T15:00:00"}, "generated_at"),
        ({"generated_at": "2027-01-01T00:00:00Z"}, "generated_at"),
    ],
)
def test_what_is_no_token_is_refused_by_field_and_not_shown(changes: dict[str, object], named: str) -> None:
    with pytest.raises(click.ClickException) as refused:
        read(**changes)
    assert named in refused.value.message
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'"refresh"'])
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(click.ClickException, match="no token"):
        token_from_json(content, clock=lambda: NOW)


def test_a_token_from_the_prompt_needs_no_access_token() -> None:
    token = new_token(refresh_token="refresh", access_token="", expires_in_s=None, clock=lambda: NOW)
    assert (token.access_token.get_secret_value(), token.expires_in_s) == ("", 0)


@pytest.mark.parametrize(
    ("words", "environment", "status"),
    [
        (["connect", "7", "me"], {}, 2),  # nobody to ask
        (["connect", "7", "me", "refresh-1"], {}, 2),
        (["connect", "7"], {}, 2),
        (["connect", "", "me", "--stdin"], {}, 2),
        (["connect", "7", "m\x00", "--stdin"], {}, 2),
        (["connect", "7", "me", "--stdin"], {"MONGODB_URI": "nowhere"}, 2),
        (["connect", "7", "me", "--stdin"], {}, 1),  # stdin is empty
    ],
)
def test_nothing_is_written_without_a_token(
    words: list[str],
    environment: dict[str, str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, words, env=environment, obj=Outside(is_interactive=lambda: False))
    assert (result.exit_code, result.stdout) == (status, "")


def test_a_wrong_answer_at_the_prompt_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(
        main, ["connect", "7", "me"], input="my secret\n\n", obj=Outside(is_interactive=lambda: True)
    )
    assert result.exit_code == 1
    assert "refresh_token: must be" in result.stderr
    assert "secret" not in result.output
