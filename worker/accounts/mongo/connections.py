"""MongoConnectionStore: connections, in `integrations.hubspot.connections`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime

from bson.max_key import MaxKey
from bson.min_key import MinKey
from pymongo import ASCENDING

from worker.accounts.connection import Connection, Fingerprint, Refusal, TokenInfo
from worker.mongo.database import Document, MongoDatabase, translated_errors

COLLECTION = "integrations.hubspot.connections"

_KEPT_S = 90 * 86_400  # without a renewal for so long nobody uses the account; HubSpot can be asked again


class MongoConnectionStore:
    """One document for each (account, owner), apart from the token's, which other programs replace as a whole."""

    def __init__(self, database: MongoDatabase) -> None:
        self._connections = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Create the indexes, one of which expires connections that are not used for 90 days."""
        with translated_errors():
            self._connections.create_index([("refusal.since", ASCENDING)], sparse=True)
            self._connections.create_index("updated_at", expireAfterSeconds=_KEPT_S)

    def find(self, account_id: str, owner: str) -> Connection | None:
        with translated_errors():
            document = self._connections.find_one({"_id": _id(account_id, owner)})
        return _connection(document) if document is not None else None

    def learn(self, account_id: str, owner: str, facts: TokenInfo, *, fingerprint: Fingerprint, at: datetime) -> None:
        """Write in one atomic update; what was known of another grant is dropped."""
        # A pipeline update: what HubSpot did not say now stays as stored, but only if it is of the same grant.
        is_same_grant = {"$eq": ["$fingerprint.grant", fingerprint.grant]}
        known = {
            name: {"$ifNull": [{"$literal": value}, {"$cond": [is_same_grant, f"$facts.{name}", None]}]}
            for name, value in asdict(facts).items()
        }
        change = {"facts": known, "fingerprint": asdict(fingerprint), "checked_at": at, "updated_at": "$$NOW"}
        with translated_errors():
            self._connections.update_one(
                {"_id": _id(account_id, owner)}, [{"$set": change}, {"$unset": "refusal"}], upsert=True
            )

    def accept(self, account_id: str, owner: str) -> None:
        """Remove a refusal, and touch the document so that it does not expire."""
        change: Document = {"$unset": {"refusal": True}, "$currentDate": {"updated_at": True}}
        with translated_errors():
            self._connections.update_one({"_id": _id(account_id, owner)}, change)

    def refuse(self, account_id: str, owner: str, refusal: Refusal) -> None:
        """Write the refusal, with the `since` of an earlier one of the same token."""
        # `since` survives repeated refusals of one token, so it is computed from the stored document.
        is_same_token = {"$eq": ["$refusal.token", refusal.token]}
        given = {name: {"$literal": value} for name, value in asdict(refusal).items()}
        written = given | {"since": {"$cond": [is_same_token, "$refusal.since", refusal.since]}}
        with translated_errors():
            self._connections.update_one(
                {"_id": _id(account_id, owner)},
                [{"$set": {"refusal": written, "updated_at": "$$NOW"}}],
                upsert=True,
            )

    def ask_again(self, account_id: str, owner: str) -> None:
        refused = {"_id": _id(account_id, owner), "refusal": {"$exists": True}}
        with translated_errors():
            self._connections.update_one(refused, {"$set": {"refusal.asked_at": None}})

    def forget(self, connection: Connection) -> None:
        if connection.refusal is None:
            return
        found = {"_id": _id(connection.account_id, connection.owner), "refusal.token": connection.refusal.token}
        with translated_errors():
            self._connections.update_one(found, {"$unset": {"refusal": True}})

    def remove(self, account_id: str, owner: str) -> None:
        with translated_errors():
            self._connections.delete_one({"_id": _id(account_id, owner)})

    def of_portal(self, account_id: str, hub_id: int) -> list[Connection]:
        """Read a range of the `_id` index, in which the account's documents are adjacent."""
        of_account = {"_id": {"$gte": _id(account_id, MinKey()), "$lte": _id(account_id, MaxKey())}}
        with translated_errors():
            found = self._connections.find({**of_account, "facts.hub_id": hub_id})
            return [_connection(document) for document in found]

    def list_refused(self, *, most: int) -> list[Connection]:
        with translated_errors():
            found = self._connections.find({"refusal.since": {"$exists": True}})
            return [_connection(document) for document in found.sort("refusal.since", ASCENDING).limit(most)]

    def refused_among(self, keys: Collection[tuple[str, str]]) -> list[Connection]:
        wanted = {"_id": {"$in": [_id(*key) for key in keys]}, "refusal": {"$exists": True}}
        with translated_errors():
            return [_connection(document) for document in self._connections.find(wanted)]


def _id(account_id: str, owner: str | MinKey | MaxKey) -> Document:
    return {"account_id": account_id, "owner": owner}


def _connection(document: Document) -> Connection:
    fingerprint, refusal, facts = document.get("fingerprint"), document.get("refusal"), document.get("facts")
    return Connection(
        account_id=document["_id"]["account_id"],
        owner=document["_id"]["owner"],
        facts=_facts(facts) if facts is not None else TokenInfo(),
        fingerprint=Fingerprint(**fingerprint) if fingerprint is not None else None,
        checked_at=document.get("checked_at"),
        refusal=Refusal(**refusal) if refusal is not None else None,
    )


def _facts(document: Document) -> TokenInfo:
    scopes = document["scopes"]
    return TokenInfo(**document | {"scopes": tuple(scopes) if scopes is not None else None})
