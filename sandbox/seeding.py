"""One connected account: records in HubSpot's stand-in, an OAuth token in the database, and a JWT to ask with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Unpack

import jwt
from pymongo import MongoClient

from sandbox.configuration import CLIENT_ID, CLIENT_SECRET
from sandbox.portal.accounts import AccountOptions
from sandbox.stack import Stack

_TOKEN_COLLECTION = "integrations.hubspot.key"  # noqa: S105 - a collection's name
_TOKEN_LIFE_S = 1800
_DATABASE_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Who asks (`account_id`, `owner`), and which HubSpot account that is connected to (`hub_id`)."""

    account_id: str
    owner: str
    hub_id: int


def seed(stack: Stack, account: Account, **options: Unpack[AccountOptions]) -> None:
    """Create the account as `options` say, and store a token that has ended, so that it is renewed.

    `options` are those of HubSpot's stand-in, `records` among them. Seeding an account again makes it anew.
    """
    chosen: AccountOptions = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, **options}
    made = stack.hubspot_control.add_account(account.hub_id, **chosen)
    _store_token(stack, account, refresh_token=str(made["refresh_token"]))


def mint_jwt(stack: Stack, account: Account, *, life: timedelta, scope: str = "contacts") -> str:
    """Give a JWT that the stack's shim accepts."""
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
