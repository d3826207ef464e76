"""Builds what reads HubSpot's definitions."""

from __future__ import annotations

from worker.bootstrap.accounts import Accounts
from worker.bootstrap.infrastructure import Infrastructure
from worker.definitions.definitions import Definitions
from worker.definitions.mongo import MongoDefinitionCache
from worker.definitions.reader import DefinitionReader
from worker.hubspot.dated.definitions import DefinitionClient
from worker.rate_limit.interfaces import RateLimiter


def build_definitions(infra: Infrastructure, accounts: Accounts, limiter: RateLimiter) -> Definitions:
    return Definitions(
        DefinitionReader(
            source=DefinitionClient(transport=infra.transport, objects_url=infra.settings.hubspot_objects_endpoint),
            cache=MongoDefinitionCache(infra.database),
            tokens=accounts.portal_tokens,
            facts=accounts.introspector,
            limiter=limiter,
            stopping=infra.stopping,
        )
    )
