"""Renewals against the stand-in's token answers of every shape: the token is usable, or there is one clear error."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import SecretStr

from sandbox.fake_hubspot.oauth.token_answers import TOKEN_SHAPES, WITHOUT_TOKEN
from tests.unit.worker.account_world import HUB, AccountWorld
from worker.errors import FatalHubSpotError, RetryableHubSpotError
from worker.rpc.requests import ExchangeCode

PATHS = ["/oauth/v1/token", "/oauth/2026-03/token"]
SHAPES = [shape for shape in TOKEN_SHAPES if shape not in WITHOUT_TOKEN]


@pytest.fixture(params=PATHS)
def any_world(request: pytest.FixtureRequest, world: AccountWorld) -> AccountWorld:
    world.token_path = request.param
    return world


@pytest.mark.parametrize("rotates", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_token_of_any_shape_works_for_as_long_as_it_lives_and_is_renewed_after(
    any_world: AccountWorld, shape: str, *, rotates: bool
) -> None:
    any_world.hubspot.accounts[HUB].change({"grant_shape": shape, "rotate_refresh_tokens": rotates})
    any_world.store_token(is_live=False)
    source, given = any_world.source, []

    for _ in range(3):
        given.append(source.get("a1", "u1"))
        assert any_world.information.of(given[-1]).hub_id == HUB
        any_world.clock.advance(1700)
        assert source.get("a1", "u1") == given[-1]
        assert any_world.information.of(given[-1]).hub_id == HUB
        any_world.clock.advance(50)  # in the last minute of its life

    assert len(set(given)) == 3
    assert any_world.calls("token") == [200] * 3
    assert any_world.stored().refresh_token == SecretStr(any_world.hubspot.tokens.refresh_token(HUB) or "")


@pytest.mark.parametrize("shape", sorted(WITHOUT_TOKEN))
def test_an_answer_without_a_token_is_an_outage_after_which_all_goes_on(any_world: AccountWorld, shape: str) -> None:
    any_world.hubspot.accounts[HUB].change({"grant_shape": shape, "rotate_refresh_tokens": True})
    before = any_world.store_token(is_live=False)

    with pytest.raises(RetryableHubSpotError) as raised:
        any_world.source.get("a1", "u1")

    assert raised.value.message == ("backend gave up" if shape == "error" else "HubSpot's token endpoint gave no token")
    assert any_world.stored() == before
    any_world.hubspot.accounts[HUB].change({"grant_shape": "documented"})
    assert any_world.information.of(any_world.source.get("a1", "u1")).hub_id == HUB


@pytest.mark.parametrize("shape", SHAPES)
def test_an_account_is_connected_by_an_answer_of_any_shape_that_has_both_tokens(
    world: AccountWorld, shape: str
) -> None:
    world.hubspot.accounts[HUB].change({"grant_shape": shape})
    code = world.hubspot.tokens.issue_code(HUB, redirect_uri="https://app.test/cb").value
    question = ExchangeCode(redirect_uri="https://app.test/cb")

    if shape.startswith("refresh_token"):
        with pytest.raises(FatalHubSpotError, match="no refresh token"):
            world.code_exchanger.connect("a1", "u1", question, code=SecretStr(code))
        assert world.tokens.find("a1", "u1") is None
        return
    assert world.code_exchanger.connect("a1", "u1", question, code=SecretStr(code)).facts.hub_id == HUB
    assert world.source.get("a1", "u1") == world.stored().access_token


@pytest.mark.parametrize("ahead_s", [-3600, 3600])
def test_a_token_stored_by_a_wrong_clock_costs_one_renewal(any_world: AccountWorld, ahead_s: int) -> None:
    """Another program's clock; ours is MongoDB's. One that ran ahead makes a dead token look alive: a 401 tells."""
    token = any_world.store_token()
    any_world.store_token(generated_at=any_world.clock() + timedelta(seconds=ahead_s), access_token=token.access_token)
    any_world.hubspot.tokens.expire(HUB)

    for _ in range(10):
        assert any_world.introspector.look("a1", "u1").hub_id == HUB
        any_world.clock.advance(60)

    assert any_world.calls("token") == [200]
