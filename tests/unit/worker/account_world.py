"""An account that HubSpot's stand-in knows, and everything of ours that has to do with its token."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import responses
from pydantic import SecretStr

from sandbox.fake_hubspot.hubspot import HubSpot
from sandbox.fake_hubspot.transport.mounting import HUBSPOT_URL, mount
from tests.fakes.clock import ManualClock
from tests.fakes.connections import InMemoryConnectionStore
from tests.fakes.portals import InMemoryPortalStore
from tests.fakes.tokens import InMemoryRenewalLeases, InMemoryTokenEndpoints, InMemoryTokenStore
from worker.accounts.connection import Fingerprint
from worker.accounts.token import Token
from worker.hubspot.oauth.authorizer import CodeExchanger
from worker.hubspot.oauth.introspector import TokenIntrospector
from worker.hubspot.oauth.portals import PortalTokens
from worker.hubspot.oauth.token_addresses import TokenAddresses
from worker.hubspot.oauth.token_endpoint import TokenEndpoint
from worker.hubspot.oauth.token_information import TokenInfoClient
from worker.hubspot.oauth.token_source import TokenProvider
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens
from worker.hubspot.transport import Transport

HUB = 62515
V1, LATER = "/oauth/v1/token", "/oauth/2026-09/token"
CLIENT_ID, CLIENT_SECRET = "app", SecretStr("app-secret")


@dataclass
class AccountWorld:
    """One app, one HubSpot account, one owner; `token_path` is the version of HubSpot's OAuth that is spoken."""

    hubspot: HubSpot
    clock: ManualClock
    token_path: str = V1
    client_id: str = CLIENT_ID
    tokens: InMemoryTokenStore = field(default_factory=InMemoryTokenStore)
    connections: InMemoryConnectionStore = field(default_factory=InMemoryConnectionStore)
    unwritten: UnwrittenTokens = field(default_factory=UnwrittenTokens)
    portals: InMemoryPortalStore = field(init=False)

    @classmethod
    def mounted(cls, mocker: responses.RequestsMock) -> AccountWorld:
        """Yield a world whose HubSpot answers through `responses`."""
        clock = ManualClock()
        hubspot = HubSpot(clock=lambda: clock().timestamp())
        hubspot.add_account(HUB, records={"contacts": 3, "deals": 250, "engagements": 40})
        mount(hubspot, mocker)
        return cls(hubspot, clock)

    def __post_init__(self) -> None:
        self.endpoints = InMemoryTokenEndpoints(self.clock)
        self.portals = InMemoryPortalStore(self.clock)

    @property
    def addresses(self) -> TokenAddresses:
        return TokenAddresses(f"{HUBSPOT_URL}{self.token_path}", memory=self.endpoints)

    @property
    def endpoint(self) -> TokenEndpoint:
        return TokenEndpoint(
            transport=Transport(), addresses=self.addresses, client_id=self.client_id, client_secret=CLIENT_SECRET
        )

    @property
    def information(self) -> TokenInfoClient:
        return TokenInfoClient(
            transport=Transport(), addresses=self.addresses, client_id=self.client_id, client_secret=CLIENT_SECRET
        )

    @property
    def source(self) -> TokenProvider:
        return TokenProvider(
            store=self.tokens,
            leases=InMemoryRenewalLeases(self.clock),
            endpoint=self.endpoint,
            client_id=self.client_id,
            connections=self.connections,
            unwritten=self.unwritten,
            clock=self.clock,
            pause=self.clock.advance,
        )

    @property
    def code_exchanger(self) -> CodeExchanger:
        return CodeExchanger(
            endpoint=self.endpoint,
            information=self.information,
            tokens=self.tokens,
            connections=self.connections,
            unwritten=self.unwritten,
            portals=self.portals,
            clock=self.clock,
        )

    @property
    def portal_tokens(self) -> PortalTokens:
        return PortalTokens(
            source=self.source,
            tokens=self.tokens,
            information=self.information,
            connections=self.connections,
            portals=self.portals,
            clock=self.clock,
            monotonic=lambda: self.clock().timestamp(),
        )

    @property
    def introspector(self) -> TokenIntrospector:
        return TokenIntrospector(
            tokens=self.tokens,
            source=self.source,
            information=self.information,
            connections=self.connections,
            clock=self.clock,
        )

    def store_token(self, *, is_live: bool = True, **fields: object) -> Token:
        """Store a token as another program does: a live one, or one that has ended."""
        access_token = self.hubspot.issue_token(HUB).value if is_live else "ended"
        generated_at: datetime = self.clock() - timedelta(seconds=0 if is_live else 3600)
        given: dict[str, object] = {
            "account_id": "a1",
            "owner": "u1",
            "access_token": SecretStr(access_token),
            "refresh_token": SecretStr(f"refresh-{HUB}"),
            "generated_at": generated_at,
            "expires_in_s": 1800.0,
        }
        token = Token(**given | fields)  # type: ignore[arg-type]  # a test names fields that exist
        self.tokens.put(token)
        return token

    def stored(self) -> Token:
        token = self.tokens.find("a1", "u1")
        assert token is not None
        return token

    def fingerprint(self) -> Fingerprint:
        return Fingerprint.of(self.stored())

    def calls(self, type_: str) -> list[int]:
        """Return the statuses of HubSpot's answers to calls of a type."""
        return [call.status for call in self.hubspot.journal.calls if call.type == type_]
