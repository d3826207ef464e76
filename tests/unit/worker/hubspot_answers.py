"""HubSpot's error bodies, as documented or recorded."""

from __future__ import annotations

from typing import Any

BAD_REFRESH_TOKEN: dict[str, Any] = {
    "error": "invalid_grant",
    "error_description": "refresh token is invalid, expired or revoked",
    "status": "BAD_REFRESH_TOKEN",
    "message": "refresh token is invalid, expired or revoked",
}
OLD_BAD_REFRESH_TOKEN: dict[str, Any] = {
    "status": "BAD_REFRESH_TOKEN",
    "message": "missing or invalid refresh token",
}
EXPIRED: dict[str, Any] = {
    "status": "error",
    "message": "The OAuth token used to make this call expired 0 second(s) ago.",
    "correlationId": "11111111-2222",
    "category": "EXPIRED_AUTHENTICATION",
    "context": {"expire time": ["2026-03-10T23:04:41.164Z"]},
}
MISSING_SCOPES: dict[str, Any] = {
    "status": "error",
    "message": "This app hasn't been granted all required scopes to make this call.",
    "errors": [
        {
            "message": "One or more of the following scopes are required.",
            "context": {"requiredGranularScopes": ["crm.objects.deals.read"]},
        }
    ],
    "category": "MISSING_SCOPES",
}


def rate_limited(policy: str) -> dict[str, Any]:
    """Return the body of a 429."""
    return {
        "status": "error",
        "message": f"You have reached your {policy.lower()} limit.",
        "errorType": "RATE_LIMIT",
        "policyName": policy,
    }
