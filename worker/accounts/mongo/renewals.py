"""MongoRenewalLeases: who may renew a token, in `integrations.hubspot.renewals`; MongoDB's clock alone decides."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.accounts.token import RenewalLease
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors

COLLECTION = "integrations.hubspot.renewals"

# Older versions wrote `expires_at` only. In a new document both are missing, which compares as lower: it is free.
_END = {"$ifNull": ["$held_until", "$expires_at"]}
_IS_FREE = {"$lte": [_END, "$$NOW"]}
_KNOWN_FOR_S = 3600.0  # an expired holder is remembered for so long; MongoDB may have been down meanwhile


class MongoRenewalLeases:
    """One document for each lease, apart from the token's, which other programs replace as a whole."""

    def __init__(self, database: MongoDatabase) -> None:
        self._leases = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Create a TTL index for leases of killed workers."""
        with translated_errors():
            self._leases.create_index("expires_at", expireAfterSeconds=0)

    def acquire(self, account_id: str, owner: str, *, lease_s: float, for_refused: bool = False) -> RenewalLease | None:
        """Insert the lease or take over an expired one in one atomic update, which returns whose it is then."""
        lease = RenewalLease(account_id=account_id, owner=owner, holder=uuid4().hex, for_refused=for_refused)
        # Checked and written in one update, or two workers might both find the lease free.
        taken = {
            "holder": {"$cond": [_IS_FREE, lease.holder, "$holder"]},
            "held_until": {"$cond": [_IS_FREE, from_now(lease_s), _END]},
            "expires_at": {"$cond": [_IS_FREE, from_now(lease_s + _KNOWN_FOR_S), "$expires_at"]},
            "before": {"$cond": [_IS_FREE, "$holder", "$before"]},
        }
        with translated_errors():
            try:
                found = self._leases.find_one_and_update(
                    {"_id": _id(lease)}, [{"$set": taken}], upsert=True, return_document=ReturnDocument.AFTER
                )
            except DuplicateKeyError:  # two upserts at once, and this one came second
                return None
        if found is None or found["holder"] != lease.holder:
            return None
        return replace(lease, is_taken_over=found.get("before") is not None)

    def extend(self, lease: RenewalLease, *, lease_s: float) -> None:
        later = {"held_until": from_now(lease_s), "expires_at": from_now(lease_s + _KNOWN_FOR_S)}
        with translated_errors():
            self._leases.update_one({"_id": _id(lease), "holder": lease.holder}, [{"$set": later}])

    def release(self, lease: RenewalLease) -> None:
        with translated_errors():
            self._leases.delete_one({"_id": _id(lease), "holder": lease.holder})


def _id(lease: RenewalLease) -> Document:
    which = {"for_refused": True} if lease.for_refused else {}
    return {"account_id": lease.account_id, "owner": lease.owner, **which}
