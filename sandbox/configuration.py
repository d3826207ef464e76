"""The product's settings inside a stack: all of them are set, so that none of the user's own can leak in."""

from __future__ import annotations

import secrets
from pathlib import Path

from sandbox import environment

REPOSITORY = Path(__file__).resolve().parent.parent
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-client-secret"  # noqa: S105 - known to the fake HubSpot alone

_ENDPOINTS = {
    "HUBSPOT_TOKEN_ENDPOINT": "/oauth/2026-03/token",
    "HUBSPOT_CONTACTS_ENDPOINT": "/contacts/v1/lists/all/contacts/all",
    "HUBSPOT_COMPANIES_ENDPOINT": "/companies/v2/companies/paged?properties=name&properties=website",
    "HUBSPOT_DEALS_ENDPOINT": "/deals/v1/deal/paged?properties=dealname&includeAssociations=true",
    "HUBSPOT_NOTES_ENDPOINT": "/engagements/v1/engagements/paged",
    "HUBSPOT_OBJECTS_ENDPOINT": "/crm/objects/2026-09",
}


def product_settings(*, mongodb_uri: str, redis_url: str, hubspot_url: str, shim_url: str) -> dict[str, str]:
    """Return every setting that a stack needs; HubSpot's paths are the defaults."""
    return {
        "MONGODB_URI": mongodb_uri,
        "MONGODB_DATABASE": "hubspot_export",
        "CELERY_BROKER_URL": redis_url,
        "REDIS_URL": redis_url,
        "HUBSPOT_CLIENT_ID": CLIENT_ID,
        "HUBSPOT_CLIENT_SECRET": CLIENT_SECRET,
        **{name: f"{hubspot_url}{path}" for name, path in _ENDPOINTS.items()},
        "HUBSPOT_AUTHORIZE_URL": f"{hubspot_url}/oauth/authorize",
        "HUBSPOT_REDIRECT_URI": f"{shim_url}/v1/integrations/hubspot/connect/callback",
        "HUBSPOT_SCOPES": "oauth crm.objects.contacts.read crm.objects.companies.read crm.objects.deals.read",
        "HUBSPOT_OPTIONAL_SCOPES": "sales-email-read",
        "CONNECT_STATE_SECRET": secrets.token_hex(32),
        "HUBSPOT_API": "legacy",
        "HUBSPOT_NOTES_KINDS": "notes,calls,emails,meetings,tasks",
        "HUBSPOT_RATE_LIMIT": "110/10",
        "HUBSPOT_TIMEOUT_SECONDS": "100",
        "EXPORT_LANES": "16",
        "EXPORT_TYPES": "contacts,companies,deals,notes",
        "DELETION_GUARD": "0.1",
        "SLICE_SECONDS": "20",
        "LEASE_SECONDS": "20",
        "SLOTS_PER_ACCOUNT": "8",
        "JWT_SECRET": secrets.token_hex(32),
        "EXPORT_WAIT_SECONDS": "25",
        "MAX_OPEN_JOBS_PER_ACCOUNT": "1000",
        "MAX_WAITING_REQUESTS_PER_CALLER": "100",
        "SCHEDULE_JITTER_SECONDS": "900",
        "MAX_STORED_BYTES_PER_ACCOUNT": "0",
        "RESULT_TTL_DAYS": "30",
        "WEBHOOK_SECRET": secrets.token_hex(32),
        "WEBHOOK_ALLOW_PRIVATE": "true",  # webhook receivers listen on loopback
        "LOG_FORMAT": "console",
        "LOG_LEVEL": "info",
        "METRICS_HOST": "127.0.0.1",
    }


def python_environment() -> dict[str, str]:
    """Return the environment of a Python child process: it finds the product from any folder and logs unbuffered.

    If C code crashes, its log contains the Python traceback.

    Children start in a folder of their own, because a `.env` in the user's current one would be read as settings.
    """
    python = {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}
    return {**environment.inherited(), **python}
