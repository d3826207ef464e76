"""MongoRenewalLeases: who may renew a token, in `integrations.hubspot.renewals`; MongoDB's clock alone decides."""

from __future__ import annotations

from uuid import uuid4

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.mongo.connection import Document, MongoDatabase, translated_errors
from worker.tokens import RenewalLease

COLLECTION = "integrations.hubspot.renewals"

_IS_FREE = {"$lte": ["$expires_at", "$$NOW"]}  # a document that is just being made compares as lower, so it is free


class MongoRenewalLeases:
    """One document for each lease that is held; not in the token's own document, which other programs write whole."""

    def __init__(self, database: MongoDatabase) -> None:
        self._leases = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Have MongoDB remove what a killed worker leaves behind."""
        with translated_errors():
            self._leases.create_index("expires_at", expireAfterSeconds=0)

    def acquire(self, account_id: str, owner: str, *, lease_s: float) -> RenewalLease | None:
        """Insert the lease, or take over one that has lapsed, in one atomic update; whose it is then is read off it."""
        lease = RenewalLease(account_id=account_id, owner=owner, holder=uuid4().hex)
        taken = {
            "holder": {"$cond": [_IS_FREE, lease.holder, "$holder"]},
            "expires_at": {"$cond": [_IS_FREE, {"$add": ["$$NOW", int(lease_s * 1000)]}, "$expires_at"]},
        }
        with translated_errors():
            try:
                found = self._leases.find_one_and_update(
                    {"_id": _id(lease)}, [{"$set": taken}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # two inserted at once, and this one came second
                return None
        return lease if found is not None and found["holder"] == lease.holder else None

    def extend(self, lease: RenewalLease, *, lease_s: float) -> None:
        """Move the end of the lease, if it is still this one."""
        later = {"$add": ["$$NOW", int(lease_s * 1000)]}
        with translated_errors():
            self._leases.update_one({"_id": _id(lease), "holder": lease.holder}, [{"$set": {"expires_at": later}}])

    def release(self, lease: RenewalLease) -> None:
        """Remove the lease, if it is still this one."""
        with translated_errors():
            self._leases.delete_one({"_id": _id(lease), "holder": lease.holder})


def _id(lease: RenewalLease) -> Document:
    return {"account_id": lease.account_id, "owner": lease.owner}
