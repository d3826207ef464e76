"""Masks: what is shown of HubSpot's correlation id holds no secret, in whatever form and however short."""

from __future__ import annotations

import base64
import string
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from worker.hubspot.masks import masked, safe_correlation_id

WORDS = st.text(string.ascii_letters + string.digits, max_size=30)  # which a correlation id can hold


def as_it_is(value: str) -> str:
    return value


def in_base64(value: str) -> str:
    return base64.urlsafe_b64encode(value.encode()).decode().rstrip("=")


@pytest.mark.parametrize("written", [as_it_is, in_base64])
@given(secret=WORDS, before=WORDS, after=WORDS)
def test_a_correlation_id_is_shown_only_where_nothing_of_it_would_be_masked(
    written: Callable[[str], str], secret: str, before: str, after: str
) -> None:
    value = written(before + secret + after)
    is_safe = masked(value, [SecretStr(secret)]) == value
    assert safe_correlation_id(value, [SecretStr(secret)]) == (value if is_safe and 0 < len(value) <= 100 else None)


@given(secret=WORDS)
def test_a_uuid_is_shown_beside_a_token(secret: str) -> None:
    known = "e3e70682-c209-4cac-a29f-6fbed82c07cd"
    is_safe = masked(known, [SecretStr(secret)]) == known
    assert safe_correlation_id(known, [SecretStr(secret)]) == (known if is_safe else None)
