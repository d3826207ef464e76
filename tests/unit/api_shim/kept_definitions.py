"""HubSpot's definitions as they are kept for an account that is connected."""

from __future__ import annotations

from api_shim.auth.jwt import Caller
from tests.unit.api_shim.shim import Parts, token_of
from worker.accounts.connection import Fingerprint, TokenInfo
from worker.definitions.definition import PropertyDefinition, Sensitivity
from worker.definitions.interfaces import Access
from worker.definitions.lists import DefinitionList, Listed, ListKind

HUB = 62515
FACTS = TokenInfo(hub_id=HUB, scopes=("oauth", "crm.objects.contacts.read", "crm.objects.custom.read"))
CALLER = Caller(account_id="a1", uid="u1", scopes=frozenset({"contacts"}))


def connect(parts: Parts, *, facts: TokenInfo = FACTS) -> None:
    """Note what HubSpot says of the stored token."""
    token = token_of("a1", "u1")
    parts.connections.learn("a1", "u1", facts, fingerprint=Fingerprint.of(token), at=parts.clock())


def keep(parts: Parts, wanted: DefinitionList, listed: Listed) -> None:
    access = Access.of(FACTS, hub_id=HUB)
    assert access is not None
    parts.definitions.put(access, wanted, listed)


def list_of(path: str, sensitivity: Sensitivity = Sensitivity.NONE) -> DefinitionList:
    return DefinitionList(kind=ListKind.PROPERTIES, path=path, sensitivity=sensitivity)


def keep_properties(parts: Parts, path: str, *names: str) -> None:
    """Keep a type's lists of properties, of which those that are sensitive are empty."""
    keep(parts, list_of(path), Listed(properties=tuple(PropertyDefinition(name=each) for each in names)))
    for level in (Sensitivity.SENSITIVE, Sensitivity.HIGH):
        keep(parts, list_of(path, level), Listed())
