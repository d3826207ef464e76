"""What HubSpot says of a token, as gateways and odd users' names make it: it is read, and can be stored."""

from __future__ import annotations

import bson
import pytest

from worker.accounts.connection import TokenInfo
from worker.hubspot.oauth.token_facts import facts_of, read_object


@pytest.mark.parametrize(
    ("body", "user"),
    [
        (rb'{"hub_id":99,"user":"a\ud83d"}', "a\ufffd"),
        (b'{"hub_id":99.0,"user":"caf\xe9"}', "caf\ufffd"),
        (rb'{"hub_id":"99","user":"C:\x"}', r"C:\x"),
        (b'\xef\xbb\xbf {"hub_id":99,"user":"a\nb","n":NaN} trailing', "a\nb"),
        ('{"hub_id":99,"user":"ü"}'.encode("utf-16"), "ü"),
    ],
)
def test_an_odd_text_costs_no_other_fact_and_can_be_stored(body: bytes, user: str) -> None:
    said = read_object(body)
    assert said is not None
    facts = facts_of(said)
    assert facts == TokenInfo(hub_id=99, user=user)
    assert bson.decode(bson.encode({"user": facts.user})) == {"user": user}
