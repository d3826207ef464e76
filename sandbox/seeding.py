"""Connects one account: records in the fake HubSpot, an OAuth token in the database, and a JWT for the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Unpack

import jwt
from pymongo import MongoClient

from sandbox.configuration import CLIENT_ID, CLIENT_SECRET
from sandbox.fake_hubspot.accounts import AccountOptions
from sandbox.stack import Stack

_TOKEN_COLLECTION = "integrations.hubspot.key"  # noqa: S105 - a collection's name
_TOKEN_LIFE_S = 1800
_DATABASE_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The caller (`account_id`, `owner`) and the HubSpot account that it is connected to (`hub_id`)."""

    account_id: str
    owner: str
    hub_id: int


def seed(stack: Stack, account: Account, **options: Unpack[AccountOptions]) -> None:
    """Create or replace the account in the fake HubSpot, and store an expired token, so that the first call renews it.

    `options` are the account's settings in the fake HubSpot, including `records`.
    """
    chosen: AccountOptions = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **options}
    made = stack.hubspot_control.add_account(account.hub_id, **chosen)
    _store_token(stack, account, refresh_token=str(made["refresh_token"]))


def mint_jwt(stack: Stack, account: Account, *, life: timedelta, scope: str = "contacts") -> str:
    """Return a JWT that the stack's shim accepts."""
    claims = {
        "account_id": account.account_id,
        "uid": account.owner,
        "scope": scope,
        "exp": datetime.now(UTC) + life,
    }
    return jwt.encode(claims, stack.settings["JWT_SECRET"], algorithm="HS256")


def _store_token(stack: Stack, account: Account, *, refresh_token: str) -> None:
    client: MongoClient[dict[str, object]] = MongoClient(stack.settings["MONGODB_URI"], timeoutMS=_DATABASE_TIMEOUT_MS)
    with client:
        client[stack.settings["MONGODB_DATABASE"]][_TOKEN_COLLECTION].replace_one(
            {"account_id": account.account_id, "owner": account.owner},
            {
                "account_id": account.account_id,
                "owner": account.owner,
                "access_token": "ended-yesterday",
                "refresh_token": refresh_token,
                "expires_in": _TOKEN_LIFE_S,
                "generated_at": datetime.now(UTC) - timedelta(days=1),
            },
            upsert=True,
        )
