"""Token: how long an access token is used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from worker.accounts.token import Token

MADE = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


def token(
    *, expires_in_s: float | None = 1800, generated_at: datetime | None = MADE, access_token: str | None = "access"
) -> Token:
    return Token(
        account_id="a1",
        owner="u1",
        access_token=SecretStr(access_token) if access_token else None,
        refresh_token=SecretStr("refresh"),
        generated_at=generated_at,
        expires_in_s=expires_in_s,
    )


@pytest.mark.parametrize(
    ("life_s", "age_s", "usable"),
    [(1800, 0, True), (1800, 1739, True), (1800, 1740, False), (1800, 5000, False), (100, 89, True), (100, 90, False)],
)
def test_a_token_is_used_until_60_s_or_a_tenth_of_its_life_before_its_end(
    life_s: float,
    age_s: float,
    usable: bool,  # noqa: FBT001 - the expected value
) -> None:
    given = token(expires_in_s=life_s).usable_access_token(at=MADE + timedelta(seconds=age_s))
    assert (given is not None) is usable


@pytest.mark.parametrize("incomplete", [token(expires_in_s=None), token(generated_at=None), token(access_token=None)])
def test_a_token_without_all_its_facts_counts_as_ended(incomplete: Token) -> None:
    assert incomplete.usable_access_token(at=MADE) is None


def test_secrets_stay_out_of_the_repr() -> None:
    assert "access'" not in repr(token())
    assert "'refresh'" not in repr(token())
