"""MongoTokenStore: OAuth tokens in `integrations.hubspot.key`, a collection shared with other programs."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import structlog
from bson import ObjectId
from pydantic import SecretStr
from pymongo import ASCENDING
from pymongo.errors import OperationFailure

from worker.accounts.encryption import PLAIN_TEXT, TokenEncryption, is_encrypted
from worker.accounts.mongo.token_documents import key_of, read_instant, read_number, read_text, spellings_of
from worker.accounts.token import RenewedToken, Token
from worker.errors import TokenUnreadableError
from worker.mongo.availability import is_not_now
from worker.mongo.database import Document, MongoDatabase, translated_errors

COLLECTION = "integrations.hubspot.key"

_log = structlog.get_logger()
_SENDABLE = re.compile(r"[\x21-\x7e]+")
_SECRETS = ("access_token", "refresh_token")
_ID = (str, int, float, ObjectId)  # a query also matches ids in lists and as decimals, which no program writes


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSurvey:
    """How many tokens were examined, and how many of these are in plain text or cannot be decrypted."""

    looked_at: int
    in_plain_text: int
    unreadable: int


class MongoTokenStore:
    """Tokens, found by account and owner whether those were written as text, number or ObjectId."""

    def __init__(self, database: MongoDatabase, encryption: TokenEncryption = PLAIN_TEXT) -> None:
        self._tokens = database[COLLECTION]
        self._encryption = encryption

    def ensure_indexes(self) -> None:
        """Create the unique index. Existing duplicates are another program's: they are logged, not touched."""
        with translated_errors():
            try:
                self._tokens.create_index([("account_id", ASCENDING), ("owner", ASCENDING)], unique=True)
            except OperationFailure as error:
                if is_not_now(error):
                    raise
                _log.error("token_index_not_created", reason=error.code)

    def find(self, account_id: str, owner: str) -> Token | None:
        with translated_errors():
            document = self._tokens.find_one(key_of(account_id, owner))
        return self._token(document, account_id, owner) if document is not None else None

    def stored_among(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Query all keys at once, in all their spellings."""
        if not keys:
            return set()
        asked = {spelled: key for key in keys for spelled in spellings_of(*key)}
        with translated_errors():
            found = self._tokens.find({"$or": [key_of(*key) for key in keys]}, {"account_id": True, "owner": True})
            ids = [(document.get("account_id"), document.get("owner")) for document in found]
        return {asked[key] for key in ids if all(isinstance(each, _ID) for each in key) and key in asked}

    def readable_among(self, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Query all keys at once and try to decrypt. Of two documents with the same ids both have to be readable."""
        if not keys:
            return set()
        asked = {spelled: key for key in keys for spelled in spellings_of(*key)}
        wanted = {"_id": False, "account_id": True, "owner": True, **dict.fromkeys(_SECRETS, True)}
        with translated_errors():
            found = list(self._tokens.find({"$or": [key_of(*key) for key in keys]}, wanted))
        readable: dict[tuple[str, str], bool] = {}
        for document in found:
            ids = (document.get("account_id"), document.get("owner"))
            if all(isinstance(each, _ID) for each in ids) and ids in asked:
                key = asked[ids]
                texts = (read_text(document.get(name)) for name in _SECRETS)
                is_readable = all(self._is_readable(text) for text in texts if text is not None)
                readable[key] = readable.get(key, True) and is_readable
        return {key for key, is_readable in readable.items() if is_readable}

    def connect(self, account_id: str, owner: str, granted: RenewedToken) -> bool:
        """Write a token's fields and no others; doing so twice changes nothing."""
        change = {"$set": self._fields(granted)}
        with translated_errors():
            # Not one upsert: `key_of` matches several spellings by `$in`, from which an insert takes no ids.
            if self._tokens.update_one(key_of(account_id, owner), change).matched_count:
                return False
            self._tokens.update_one({"account_id": account_id, "owner": owner}, change, upsert=True)
        return True

    def save_renewed(self, token: Token, renewed: RenewedToken) -> bool:
        """Write the renewal's fields and no others, unless the refresh token that it is based on has been replaced."""
        if token.stored_refresh_token is None:
            return False
        used = {"refresh_token": token.stored_refresh_token.get_secret_value()}
        with translated_errors():
            result = self._tokens.update_one(
                {**key_of(token.account_id, token.owner), **used}, {"$set": self._fields(renewed)}
            )
        return result.matched_count > 0

    def remove(self, account_id: str, owner: str) -> bool:
        """Delete the document, and any duplicate with the same ids in another spelling."""
        with translated_errors():
            return self._tokens.delete_many(key_of(account_id, owner)).deleted_count > 0

    def survey(self, *, most: int) -> TokenSurvey:
        """Examine at most so many of the stored tokens."""
        with translated_errors():
            documents = list(self._tokens.find({}, dict.fromkeys(_SECRETS, 1)).limit(most))
        stored = [[text for name in _SECRETS if (text := read_text(found.get(name)))] for found in documents]
        return TokenSurvey(
            looked_at=len(stored),
            in_plain_text=sum(not all(map(is_encrypted, texts)) for texts in stored),
            unreadable=sum(not all(map(self._is_readable, texts)) for texts in stored),
        )

    def _is_readable(self, stored: str) -> bool:
        try:
            self._encryption.decrypt(stored)
        except TokenUnreadableError:
            return False
        return True

    def _fields(self, renewed: RenewedToken) -> Document:
        return {
            "access_token": self._encryption.encrypt(renewed.access_token),
            "refresh_token": self._encryption.encrypt(renewed.refresh_token),
            "expires_in": renewed.expires_in_s,
            "generated_at": renewed.generated_at,
        }

    def _token(self, document: Document, account_id: str, owner: str) -> Token:
        refresh_token = read_text(document.get("refresh_token"))
        return Token(
            account_id=account_id,
            owner=owner,
            access_token=self._secret(read_text(document.get("access_token"))),
            refresh_token=self._secret(refresh_token),
            generated_at=read_instant(document.get("generated_at")),
            expires_in_s=read_number(document.get("expires_in")),
            stored_refresh_token=SecretStr(refresh_token) if refresh_token is not None else None,
            is_encrypted=all(is_encrypted(text) for name in _SECRETS if (text := read_text(document.get(name)))),
        )

    def _secret(self, stored: str | None) -> SecretStr | None:
        """Decrypt a token; one that an HTTP header cannot carry counts as missing."""
        token = self._encryption.decrypt(stored) if stored is not None else ""
        return SecretStr(token) if _SENDABLE.fullmatch(token) else None
