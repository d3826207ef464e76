"""Grant: what HubSpot's token endpoint gave. Any answer that holds an access token is one, however it is spelled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from worker.accounts.connection import TokenInfo
from worker.hubspot.oauth.token_facts import facts_of, first, number_of

UNKNOWN_LIFE_S = 1800  # what HubSpot's access tokens live; RFC 6749 leaves it to the server to say so
_LONGEST_LIFE_S = 86_400  # HubSpot has never given one that lived for a day: such a number is no number of seconds
_SENDABLE = re.compile(r"[\x21-\x7e]+")  # what a header can carry


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """`refresh_token` usually is the one that was sent, but need not be; None: that one stays.

    What is said of the token's type is not read: there is one.
    """

    access_token: SecretStr
    refresh_token: SecretStr | None = None
    expires_in_s: int = UNKNOWN_LIFE_S
    facts: TokenInfo = field(default_factory=TokenInfo)


def grant_of(said: Mapping[str, Any] | None) -> Grant | None:
    """Read the token endpoint's answer; None where there is no access token in it.

    Only the access token has to be there. HubSpot documents snake case, and sometimes shows camel case.
    """
    said = said or {}
    access_token = first(said, "access_token", "accessToken", read=_secret)
    if access_token is None:
        return None
    return Grant(
        access_token=access_token,
        refresh_token=first(said, "refresh_token", "refreshToken", read=_secret),
        expires_in_s=first(said, "expires_in", "expiresIn", read=_life) or UNKNOWN_LIFE_S,
        facts=facts_of(said),
    )


def _secret(value: Any) -> SecretStr | None:  # noqa: ANN401 - whatever came
    token = value.strip() if isinstance(value, str) else ""
    return SecretStr(token) if _SENDABLE.fullmatch(token) else None


def _life(value: Any) -> int | None:  # noqa: ANN401 - whatever came
    """Read a life in whole seconds; one that cannot be true counts as unknown."""
    seconds = number_of(value)
    return int(seconds) if seconds is not None and 1 <= seconds <= _LONGEST_LIFE_S else None
