"""The interfaces of definitions: HubSpot as their source, and the store that keeps them for minutes."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, Self

from pydantic import SecretStr

from worker.accounts.connection import TokenInfo
from worker.definitions.lists import DefinitionList, Listed
from worker.rate_limit.permits import Permit
from worker.rate_limit.quota import Quota

LIFE_S = 600.0
"""How long a list is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a list that is kept may be shown to: tokens of the same portal that were granted the same scopes.

    What HubSpot answers depends on both, so that no account is shown, or refused, by what another may read.
    """

    hub_id: int
    scopes: str

    @classmethod
    def of(cls, facts: TokenInfo, *, hub_id: int | None) -> Self | None:
        """Return the access of a token; None where HubSpot does not tell both: then nothing is kept."""
        if hub_id is None or facts.scopes is None or facts.hub_id != hub_id:
            return None
        return cls(hub_id=hub_id, scopes=sha256(" ".join(sorted(set(facts.scopes))).encode()).hexdigest()[:32])


class DefinitionCache(Protocol):
    """Lists, kept for ten minutes by the store's clock. Every method raises StoreUnavailableError."""

    def find(self, access: Access, wanted: DefinitionList, *, max_age_s: float = LIFE_S) -> Listed | None:
        """Return a list that was put there at most so long ago; None without one, or where it cannot be read."""

    def put(self, access: Access, wanted: DefinitionList, listed: Listed) -> None:
        """Keep a list in place of an earlier one. One that is too large is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionPage:
    """What one call brought: a part of a list, where the next part is, and HubSpot's word on the limit."""

    listed: Listed
    after: str | None = None
    quota: Quota | None = None


class DefinitionSource(Protocol):
    """HubSpot's lists of definitions."""

    def fetch(
        self, wanted: DefinitionList, access_token: SecretStr, *, after: str | None, permit: Permit
    ) -> DefinitionPage:
        """Make one call. A definition that is not what it should be is left out. Raises a HubSpotError."""
