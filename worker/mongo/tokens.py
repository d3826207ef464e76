"""MongoTokenStore: OAuth tokens in `integrations.hubspot.key`, a collection that other programs write as well."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any

import structlog
from bson import ObjectId
from pydantic import SecretStr
from pymongo import ASCENDING
from pymongo.errors import OperationFailure

from worker.mongo.connection import Document, MongoDatabase, translated_errors
from worker.tokens import RenewedToken, Token

COLLECTION = "integrations.hubspot.key"

_log = structlog.get_logger()
_SENDABLE = re.compile(r"[\x21-\x7e]+")
_FIRST_MILLISECONDS = 100_000_000_000  # as seconds that is the year 5138, as milliseconds 1973


class MongoTokenStore:
    """Tokens, found by account and owner whether those were written as text, number or ObjectId."""

    def __init__(self, database: MongoDatabase) -> None:
        self._tokens = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Create the unique index. Tokens that already contradict it are another program's: reported, not touched."""
        with translated_errors():
            try:
                self._tokens.create_index([("account_id", ASCENDING), ("owner", ASCENDING)], unique=True)
            except OperationFailure as error:
                _log.error("token_index_not_created", reason=error.code)

    def find(self, account_id: str, owner: str) -> Token | None:
        """Read the stored token."""
        with translated_errors():
            document = self._tokens.find_one(_key(account_id, owner))
        return _token(document, account_id, owner) if document is not None else None

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        """Write the renewal's fields and no others, unless the refresh token it was got with has been replaced."""
        change = {
            "access_token": renewed.access_token.get_secret_value(),
            "refresh_token": renewed.refresh_token.get_secret_value(),
            "expires_in": renewed.expires_in_s,
            "generated_at": renewed.generated_at,
        }
        used = token.refresh_token.get_secret_value() if token.refresh_token is not None else None
        unchanged = {} if used is None else {"refresh_token": used}
        with translated_errors():
            result = self._tokens.update_one({**_key(token.account_id, token.owner), **unchanged}, {"$set": change})
        return result.matched_count > 0


def _key(account_id: str, owner: str) -> Document:
    return {"account_id": {"$in": _spellings(account_id)}, "owner": {"$in": _spellings(owner)}}


def _spellings(value: str) -> list[str | int | ObjectId]:
    spellings: list[str | int | ObjectId] = [value]
    if value.isascii() and value.isdigit() and str(int(value)) == value and int(value) < 2**63:
        spellings.append(int(value))
    if ObjectId.is_valid(value):
        spellings.append(ObjectId(value))
    return spellings


def _token(document: Document, account_id: str, owner: str) -> Token:
    return Token(
        account_id=account_id,
        owner=owner,
        access_token=_secret(document.get("access_token")),
        refresh_token=_secret(document.get("refresh_token")),
        generated_at=_instant(document.get("generated_at")),
        expires_in_s=_number(document.get("expires_in")),
    )


def _secret(value: Any) -> SecretStr | None:  # noqa: ANN401 - whatever another program stored
    """Read a token; one that no header can carry counts as missing."""
    return SecretStr(value) if isinstance(value, str) and _SENDABLE.fullmatch(value) else None


def _number(value: Any) -> float | None:  # noqa: ANN401 - as above
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _instant(value: Any) -> datetime | None:  # noqa: ANN401 - as above
    """Read a date, or seconds or milliseconds since 1970."""
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    number = _number(value)
    if number is None:
        return None
    try:
        return datetime.fromtimestamp(number / 1000 if number >= _FIRST_MILLISECONDS else number, UTC)
    except (OverflowError, ValueError, OSError):
        return None
