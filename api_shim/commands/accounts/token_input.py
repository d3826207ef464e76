"""Tokens as a user types them or HubSpot's token endpoint returns them, validated before they are stored."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, TypeAlias

import click
import msgspec
from pydantic import SecretStr

from worker.accounts.token import RenewedToken

Clock: TypeAlias = Callable[[], datetime]

_YEAR_S = 366 * 24 * 3600
_LONGEST = 10_000
_CLOCKS_DIFFER = timedelta(minutes=1)


class _TokenJson(msgspec.Struct):
    """Further fields, which HubSpot sends, are ignored."""

    refresh_token: str
    access_token: str | None = None
    expires_in: Annotated[int, msgspec.Meta(ge=1, le=_YEAR_S)] | None = None
    generated_at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


def token_from_json(content: bytes, *, clock: Clock) -> RenewedToken:
    """Parse `{"refresh_token", "access_token", "expires_in", "generated_at"}`; only the first is required.

    Raises click.ClickException that names the field, never its value.
    """
    try:
        read = msgspec.json.decode(content, type=_TokenJson)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise click.ClickException(f"The JSON on stdin is no token: {error}") from None
    if read.generated_at is not None and read.generated_at > clock() + _CLOCKS_DIFFER:
        raise click.ClickException("generated_at: must not lie in the future")
    return new_token(
        refresh_token=read.refresh_token,
        access_token=read.access_token or "",
        expires_in_s=read.expires_in,
        clock=clock,
        generated_at=read.generated_at,
    )


def new_token(
    *,
    refresh_token: str,
    access_token: str,
    expires_in_s: int | None,
    clock: Clock,
    generated_at: datetime | None = None,
) -> RenewedToken:
    """Validate a token. An access token of unknown lifetime counts as expired: the first export renews it."""
    if access_token:
        _require_word("access_token", access_token)
    checked = _require_word("refresh_token", refresh_token)
    return RenewedToken(
        refresh_token=checked,
        access_token=SecretStr(access_token),
        expires_in_s=(expires_in_s or 0) if access_token else 0,
        generated_at=generated_at or clock(),
    )


def _require_word(name: str, value: str) -> SecretStr:
    if not (0 < len(value) <= _LONGEST and value.isascii() and value.isprintable() and " " not in value):
        raise click.ClickException(f"{name}: must be 1 to {_LONGEST:,} visible ASCII characters without spaces")
    return SecretStr(value)
