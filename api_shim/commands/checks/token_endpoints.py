"""Checks whether HubSpot still serves the configured token endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from api_shim.commands.checks.findings import Finding, ok, wrong
from worker.accounts.mongo.token_endpoints import MongoTokenEndpoints
from worker.accounts.token_endpoint import GoneEndpoint, without_secrets
from worker.mongo.database import MongoDatabase
from worker.settings import WorkerSettings, read

SUBJECT = "token endpoint"

_ADVICE = "set HUBSPOT_TOKEN_ENDPOINT to it, or have the old one asked again: hubspot-export token-endpoint --recheck"


def check_token_endpoint(database: MongoDatabase) -> Finding:
    """Check what the workers remember of the configured endpoint, or of any if their settings are not available."""
    settings, _ = read(WorkerSettings)
    url = without_secrets(settings.hubspot_token_endpoint) if settings is not None else None
    return judge_token_endpoint([known for known in MongoTokenEndpoints(database).known() if url in {None, known.url}])


def judge_token_endpoint(known: Sequence[GoneEndpoint]) -> Finding:
    """Report a configured endpoint that is gone: using its other version is only a stopgap."""
    moved = [each for each in known if each.moved_at is not None]
    if not moved:
        return ok(SUBJECT, "not known to be gone")
    each = moved[0]
    said = f"{each.url} is gone since {each.first_at:%Y-%m-%dT%H:%M:%SZ} (status {each.status}: {each.reason})"
    return wrong(SUBJECT, f"{said}, its other version is asked; {_ADVICE}")
