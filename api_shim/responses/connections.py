"""Response schemas of connections (pydantic)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel

from api_shim.services.connections import ShownConnection
from worker.accounts.connection import TokenInfo
from worker.accounts.gone_list import GoneList
from worker.records.scopes import missing_scopes
from worker.records.types import ExportType

MissingView = dict[str, list[str]]
"""The types that HubSpot would refuse, each with the scopes of which any one is sufficient."""


class InvitationView(BaseModel):
    """The address at which the user authorises the app, and until when it is valid."""

    url: str
    expires_at: datetime


class InvitationAnswer(BaseModel):
    """The body of the redirect, for programs that pass the address to their user."""

    success: Literal[True] = True
    message: Literal["Send the user there"] = "Send the user there"
    data: InvitationView


class FactsView(BaseModel):
    """What HubSpot says about a token; null: it did not say, or was not asked."""

    hub_id: int | None
    user_id: int | None
    user: str | None
    scopes: list[str] | None
    missing_scopes: MissingView | None

    @classmethod
    def of(cls, facts: TokenInfo, types: Collection[ExportType]) -> Self:
        """Return it with the scopes that are missing for these types."""
        return cls.model_validate(_facts(facts, types))


class ConnectedAnswer(BaseModel):
    """The account is connected."""

    success: Literal[True] = True
    message: Literal["Account connected"] = "Account connected"
    data: FactsView


class GoneListView(BaseModel):
    """A legacy list that HubSpot no longer serves to the account, as it has answered more than once.

    `since` and `last_seen_at` are the times of the first and the last such answer; `status` and `message` are the last.
    """

    type: ExportType
    since: datetime
    last_seen_at: datetime
    status: int | None
    message: str

    @classmethod
    def of(cls, gone: GoneList) -> Self:
        return cls(
            type=gone.export_type,
            since=gone.since,
            last_seen_at=gone.last_seen_at,
            status=gone.status,
            message=gone.message,
        )


class PortalView(BaseModel):
    """A HubSpot portal that the account has been connected to, and when its tokens were first and last seen."""

    hub_id: int
    connected: bool
    first_seen_at: datetime
    last_seen_at: datetime


class ConnectionView(FactsView):
    """The state of a connection; never the token.

    `since` and `reason` say since when and why the account has to be reconnected. `checked_at` is when HubSpot
    confirmed this state; `generated_at` and `expires_at` are those of the access token, which is renewed when needed.
    With `HUBSPOT_API=auto`, exports of the types in `lists_gone` start with HubSpot's dated API.
    """

    status: Literal["connected", "reconnect_required"]
    since: datetime | None
    reason: str | None
    checked_at: datetime | None
    generated_at: datetime | None
    expires_at: datetime | None
    encrypted: bool
    lists_gone: list[GoneListView]
    portals: list[PortalView]


class ConnectionAnswer(BaseModel):
    """A connection."""

    success: Literal[True] = True
    message: Literal["Connection found"] = "Connection found"
    data: ConnectionView


def connection_view(shown: ShownConnection, types: Collection[ExportType]) -> ConnectionView:
    """Return the connection with the scopes that it lacks for these types."""
    token, known, refusal = shown.token, shown.known, shown.known.refusal
    return ConnectionView.model_validate(
        {
            **_facts(known.facts, types),
            "status": "connected" if refusal is None else "reconnect_required",
            "since": refusal.since if refusal is not None else None,
            "reason": refusal.reason if refusal is not None else None,
            "checked_at": known.checked_at,
            "generated_at": token.generated_at,
            "expires_at": token.access_token_ends_at,
            "encrypted": token.is_encrypted,
            "lists_gone": [GoneListView.of(each) for each in shown.gone if each.is_of(known.facts.hub_id)],
            "portals": [
                {
                    "hub_id": portal.hub_id,
                    "connected": portal.hub_id == known.facts.hub_id,
                    "first_seen_at": portal.first_seen_at,
                    "last_seen_at": portal.last_seen_at,
                }
                for portal in shown.portals
            ],
        }
    )


def _facts(facts: TokenInfo, types: Collection[ExportType]) -> dict[str, object]:
    return {
        "hub_id": facts.hub_id,
        "user_id": facts.user_id,
        "user": facts.user,
        "scopes": list(facts.scopes) if facts.scopes is not None else None,
        "missing_scopes": _missing(facts, types),
    }


def _missing(facts: TokenInfo, types: Collection[ExportType]) -> MissingView | None:
    if facts.scopes is None:
        return None
    return {str(each): list(scopes) for each, scopes in missing_scopes(types, facts.scopes).items()}
