"""Connection, Fingerprint and scopes: what still holds of what was known, and what is missing."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from worker.accounts.connection import Connection, Fingerprint, Refusal, TokenInfo
from worker.accounts.token import RenewedToken, Token
from worker.records.registry import OBJECT_TYPES
from worker.records.scopes import missing_scopes
from worker.records.types import CONTACTS, DEALS, DOCUMENTED_TYPES

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
FACTS = TokenInfo(hub_id=62515, user_id=7, user="someone@example.test", scopes=("oauth",))


def fingerprint(*, refresh: str | None = "refresh", access: str | None = "access") -> Fingerprint:
    return Fingerprint.of(
        Token(
            account_id="a1",
            owner="u1",
            refresh_token=SecretStr(refresh) if refresh is not None else None,
            access_token=SecretStr(access) if access is not None else None,
            generated_at=NOW,
            expires_in_s=1800,
        )
    )


def connection() -> Connection:
    """Return a connection with all facts, whose token HubSpot has refused since."""
    token = fingerprint()
    refusal = Refusal(reason="revoked", since=NOW, asked_at=NOW, token=token.token, client_id="app")
    return Connection(account_id="a1", owner="u1", facts=FACTS, fingerprint=token, checked_at=NOW, refusal=refusal)


def test_a_fingerprint_is_the_same_for_the_same_token_and_holds_none_of_it() -> None:
    assert fingerprint() == fingerprint()
    assert "refresh" not in repr(fingerprint())
    assert "access" not in repr(fingerprint())


def test_what_a_renewal_gave_has_the_fingerprint_that_will_be_read_back() -> None:
    given = RenewedToken(
        refresh_token=SecretStr("refresh"), access_token=SecretStr("access"), expires_in_s=900, generated_at=NOW
    )

    assert Fingerprint.of(given) == fingerprint()


def test_a_renewal_keeps_the_grant_and_a_new_connection_does_not() -> None:
    renewed, connected_anew = fingerprint(access="newer"), fingerprint(refresh="other")

    assert renewed.grant == fingerprint().grant
    assert renewed.token != fingerprint().token
    assert connected_anew.grant != fingerprint().grant
    assert connected_anew.token != fingerprint().token


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (fingerprint(refresh="ab", access="c"), fingerprint(refresh="a", access="bc")),
        (fingerprint(refresh=None, access="x"), fingerprint(refresh="x", access=None)),
    ],
)
def test_tokens_that_join_to_the_same_text_are_told_apart(one: Fingerprint, other: Fingerprint) -> None:
    assert one.token != other.token


def test_of_the_token_that_was_refused_everything_holds() -> None:
    assert connection().about(fingerprint()) == connection()


def test_after_a_renewal_the_facts_hold_and_the_refusal_does_not() -> None:
    held = connection().about(fingerprint(access="newer"))

    assert (held.facts, held.checked_at, held.refusal) == (FACTS, NOW, None)


def test_of_another_grant_nothing_is_known() -> None:
    held = connection().about(fingerprint(refresh="other"))

    assert held == Connection(account_id="a1", owner="u1")


def test_any_one_scope_of_a_type_is_enough() -> None:
    for export_type in DOCUMENTED_TYPES:
        for scope in OBJECT_TYPES[export_type].scopes:
            assert missing_scopes([export_type], ["oauth", scope]) == {}


def test_every_type_has_a_scope_and_what_is_missing_is_named_by_type() -> None:
    granted = ["oauth", "crm.objects.contacts.read", "crm.objects.companies.read"]

    assert missing_scopes(list(DOCUMENTED_TYPES), granted) == {DEALS: ("crm.objects.deals.read",)}
    assert missing_scopes([CONTACTS], []) == {CONTACTS: OBJECT_TYPES[CONTACTS].scopes}
    assert missing_scopes([CONTACTS], granted) == {}
