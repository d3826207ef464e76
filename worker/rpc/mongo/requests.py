"""MongoRpcRequestStore: RPC requests in `integrations.hubspot.errands`, removed by a TTL index after 15 minutes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from pydantic import SecretStr
from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.accounts.encryption import PLAIN_TEXT, TokenEncryption
from worker.mongo.database import Document, MongoDatabase, translated_errors
from worker.rpc.mongo.documents import (
    answer_from_document,
    answer_to_document,
    question_from_document,
    question_to_document,
)
from worker.rpc.requests import Answer, RpcRequest

COLLECTION = "integrations.hubspot.errands"
LIFE = timedelta(minutes=15)  # within which an id cannot be used a second time

_IS_LIVE = {"$gt": ["$expires_at", "$$NOW"]}  # the TTL index removes a document up to a minute late


class MongoRpcRequestStore:
    """A request is claimed or withdrawn by one atomic write, so that never both happen."""

    def __init__(self, database: MongoDatabase, encryption: TokenEncryption = PLAIN_TEXT) -> None:
        self._rpc_requests = database[COLLECTION]
        self._encryption = encryption

    def ensure_indexes(self) -> None:
        with translated_errors():
            self._rpc_requests.create_index("expires_at", expireAfterSeconds=0)

    def add(self, rpc_request: RpcRequest) -> bool:
        """Insert a request; its secret is encrypted as tokens are."""
        document = {
            "_id": rpc_request.rpc_id,
            "account_id": rpc_request.account_id,
            "owner": rpc_request.owner,
            "question": question_to_document(rpc_request.question),
            "secret": self._encryption.encrypt(rpc_request.secret) if rpc_request.secret is not None else None,
            "is_encrypted": self._encryption.has_keys,
            "created_at": rpc_request.created_at,
            "expires_at": rpc_request.created_at + LIFE,
            "taken_at": None,
            "answer": None,
        }
        with translated_errors():
            try:
                self._rpc_requests.insert_one(document)
            except DuplicateKeyError:
                return False
        return True

    def take(self, rpc_id: str) -> RpcRequest | None:
        """Mark the request as claimed, and remove its secret in the same write."""
        mark = [{"$set": {"taken_at": "$$NOW", "secret": None}}]
        with translated_errors():
            found = self._rpc_requests.find_one_and_update(
                {"_id": rpc_id, "taken_at": None, "$expr": _IS_LIVE}, mark, return_document=ReturnDocument.BEFORE
            )
        return self._rpc_request(found) if found is not None else None

    def answer(self, rpc_id: str, answer: Answer) -> None:
        with translated_errors():
            self._rpc_requests.update_one({"_id": rpc_id}, {"$set": {"answer": answer_to_document(answer)}})

    def answer_to(self, rpc_id: str) -> Answer | None:
        with translated_errors():
            found = self._rpc_requests.find_one({"_id": rpc_id}, {"answer": True})
        document: Document | None = found["answer"] if found is not None else None
        return answer_from_document(document) if document is not None else None

    def answered_among(self, rpc_ids: Collection[str]) -> set[str]:
        answered = {"_id": {"$in": list(rpc_ids)}, "answer": {"$ne": None}}
        with translated_errors():
            return {document["_id"] for document in self._rpc_requests.find(answered, {"_id": True})}

    def withdraw(self, rpc_id: str) -> bool:
        with translated_errors():
            return self._rpc_requests.delete_one({"_id": rpc_id, "taken_at": None}).deleted_count > 0

    def _rpc_request(self, document: Document) -> RpcRequest:
        return RpcRequest(
            rpc_id=document["_id"],
            account_id=document["account_id"],
            owner=document["owner"],
            question=question_from_document(document["question"]),
            created_at=document["created_at"],
            secret=SecretStr(self._plain(document)) if document["secret"] is not None else None,
        )

    def _plain(self, document: Document) -> str:
        """Decrypt by the stored flag, not by the text's look: an authorisation code comes from outside."""
        secret: str = document["secret"]
        return self._encryption.decrypt(secret) if document["is_encrypted"] else secret
