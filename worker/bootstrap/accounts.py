"""Builds what has to do with the tokens and portals of accounts."""

from __future__ import annotations

from dataclasses import dataclass

from worker.accounts.connected_portals import ConnectedPortals
from worker.accounts.encryption import TokenEncryption
from worker.accounts.health import TokenHealth
from worker.accounts.mongo.connections import MongoConnectionStore
from worker.accounts.mongo.portals import MongoPortalStore
from worker.accounts.mongo.renewals import MongoRenewalLeases
from worker.accounts.mongo.token_endpoints import MongoTokenEndpoints
from worker.accounts.mongo.tokens import MongoTokenStore
from worker.bootstrap.infrastructure import Infrastructure
from worker.hubspot.instrumented import MeasuredRenewals
from worker.hubspot.oauth.authorizer import CodeExchanger
from worker.hubspot.oauth.introspector import TokenIntrospector
from worker.hubspot.oauth.portals import PortalTokens
from worker.hubspot.oauth.token_addresses import TokenAddresses
from worker.hubspot.oauth.token_endpoint import TokenEndpoint
from worker.hubspot.oauth.token_information import TokenInfoClient
from worker.hubspot.oauth.token_source import TokenProvider
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """Tokens and portals of accounts."""

    source: TokenProvider
    health: TokenHealth
    introspector: TokenIntrospector
    code_exchanger: CodeExchanger
    unwritten: UnwrittenTokens
    portals: ConnectedPortals
    portal_tokens: PortalTokens


def build_accounts(infra: Infrastructure) -> Accounts:
    settings, database, clock = infra.settings, infra.database, infra.clock
    tokens = MongoTokenStore(database, TokenEncryption(settings.token_encryption_keys))
    connections, portals = MongoConnectionStore(database), MongoPortalStore(database)
    unwritten = UnwrittenTokens()
    addresses = TokenAddresses(settings.hubspot_token_endpoint, memory=MongoTokenEndpoints(database))
    endpoint = TokenEndpoint(
        transport=infra.transport,
        addresses=addresses,
        client_id=settings.hubspot_client_id,
        client_secret=settings.hubspot_client_secret,
    )
    information = TokenInfoClient(
        transport=infra.transport,
        addresses=addresses,
        client_id=settings.hubspot_client_id,
        client_secret=settings.hubspot_client_secret,
    )
    source = TokenProvider(
        store=tokens,
        leases=MongoRenewalLeases(database),
        endpoint=MeasuredRenewals(endpoint, infra.instruments.metrics),
        client_id=settings.hubspot_client_id,
        connections=connections,
        unwritten=unwritten,
        clock=clock,
    )
    return Accounts(
        source=source,
        health=TokenHealth(connections=connections, tokens=tokens),
        introspector=TokenIntrospector(
            tokens=tokens, source=source, information=information, connections=connections, clock=clock
        ),
        code_exchanger=CodeExchanger(
            endpoint=endpoint,
            information=information,
            tokens=tokens,
            connections=connections,
            unwritten=unwritten,
            portals=portals,
            clock=clock,
        ),
        portals=ConnectedPortals(connections=connections, tokens=tokens, portals=portals),
        portal_tokens=PortalTokens(
            source=source,
            tokens=tokens,
            information=information,
            connections=connections,
            portals=portals,
            clock=clock,
        ),
        unwritten=unwritten,
    )
