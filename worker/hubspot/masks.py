"""Masks for secrets in texts that come from HubSpot or from a proxy on the way, in any form they can take."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Sequence
from urllib.parse import quote, quote_plus

from pydantic import SecretStr

MASK = "[secret]"

_CORRELATION_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z._:-]{0,99}")  # HubSpot's are UUIDs
_PERCENT = re.compile(r"%[0-9A-F]{2}")
_SHORTEST_BASE64 = 12  # what is shorter may be anything
_URL_SAFE = str.maketrans("+/", "-_")


def masked(text: str, secrets: Sequence[SecretStr]) -> str:
    """Return a text without the secrets: as they are, and as an address, JSON, HTML or a Basic header holds them."""
    written = {form for secret in secrets for form in _forms(secret.get_secret_value())}
    for form in sorted(written, key=len, reverse=True):  # a longer form may hold a shorter one
        text = text.replace(form, MASK)
    return text


def safe_correlation_id(value: str | None, secrets: Sequence[SecretStr]) -> str | None:
    """Return what HubSpot's support asks for; None for what cannot be one, and for what holds a secret."""
    if value is None or not _CORRELATION_ID.fullmatch(value):
        return None
    if all(len(value) < _least_length(secret.get_secret_value()) for secret in secrets):
        return value  # every answer has one, and all forms of a token take as long to write as the answer to decode
    return value if masked(value, secrets) == value else None


def _least_length(value: str) -> int:
    """Return a length that no form of a secret is below."""
    in_base64 = (len(value) - 2) // 3 * 4
    return min(len(value), in_base64) if in_base64 >= _SHORTEST_BASE64 else len(value)


def _forms(value: str) -> set[str]:
    if not value:
        return set()
    raw = value.encode(errors="surrogatepass")
    quoted = {quote(raw), quote(raw, safe=""), quote_plus(raw)}
    quoted |= {_PERCENT.sub(lambda found: found[0].lower(), each) for each in quoted}
    quoted |= {quote(each) for each in quoted}  # an address within an address
    escaped = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    escaped |= {each.replace("/", "\\/") for each in escaped}
    return {value, html.escape(value), html.escape(value, quote=False), *quoted, *escaped, *_in_base64(raw)}


def _in_base64(raw: bytes) -> set[str]:
    """Return what of a secret's base64 is the same whatever surrounds it; it may begin at three places."""
    whole = [base64.b64encode(raw[skipped : skipped + (len(raw) - skipped) // 3 * 3]).decode() for skipped in range(3)]
    return {form for each in whole if len(each) >= _SHORTEST_BASE64 for form in (each, each.translate(_URL_SAFE))}
