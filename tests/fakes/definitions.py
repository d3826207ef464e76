"""An in-memory DefinitionCache, whose clock plays the part of the database server's, and a source of definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from pydantic import SecretStr

from worker.definitions.definition import PropertyDefinition, Sensitivity
from worker.definitions.interfaces import LIFE_S, Access, DefinitionPage
from worker.definitions.lists import DefinitionList, Listed, ListKind
from worker.errors import HubSpotError, NoPermitError, PermitExpiredError
from worker.rate_limit.permits import Permit


class InMemoryDefinitionCache:
    """DefinitionCache."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._kept: dict[tuple[Access, DefinitionList], tuple[datetime, Listed]] = {}

    def find(self, access: Access, wanted: DefinitionList, *, max_age_s: float = LIFE_S) -> Listed | None:
        stored_at, listed = self._kept.get((access, wanted), (None, None))
        if stored_at is None or (self._clock() - stored_at).total_seconds() > min(max_age_s, LIFE_S):
            return None
        return listed

    def put(self, access: Access, wanted: DefinitionList, listed: Listed) -> None:
        self._kept[access, wanted] = self._clock(), listed


class GivenDefinitions:
    """A DefinitionSource with given lists, or failures in place of them; `asked` are the calls that it got."""

    def __init__(self, lists: Mapping[DefinitionList, Listed | HubSpotError] | None = None) -> None:
        self.lists = dict(lists or {})
        self.asked: list[DefinitionList] = []
        self.tokens: list[str] = []
        self.fails_once: list[HubSpotError | PermitExpiredError] = []
        self.exhausted_once: list[NoPermitError] = []

    def define(self, path: str, *names: str, sensitivity: Sensitivity = Sensitivity.NONE) -> None:
        """Define texts of these names for a type by its path."""
        wanted = DefinitionList(kind=ListKind.PROPERTIES, path=path, sensitivity=sensitivity)
        self.lists[wanted] = Listed(
            properties=tuple(
                PropertyDefinition(name=each, type="string", field_type="text", sensitivity=sensitivity.value)
                for each in names
            )
        )

    def fetch(
        self, wanted: DefinitionList, access_token: SecretStr, *, after: str | None, permit: Permit
    ) -> DefinitionPage:
        assert after is None
        if self.exhausted_once:
            raise self.exhausted_once.pop(0)
        permit.leave()
        self.asked.append(wanted)
        self.tokens.append(access_token.get_secret_value())
        permit.settle()
        if self.fails_once:
            raise self.fails_once.pop(0)
        listed = self.lists.get(wanted, Listed())
        if isinstance(listed, HubSpotError):
            raise listed
        return DefinitionPage(listed=listed)
