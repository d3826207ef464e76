"""MongoRenewalLeases: who may renew a token, in `integrations.hubspot.renewals`; MongoDB's clock alone decides."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from worker.accounts.token import RenewalLease
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors

COLLECTION = "integrations.hubspot.renewals"

# Versions before this one wrote `expires_at` alone. A document that is just being made compares as lower: it is free.
_END = {"$ifNull": ["$held_until", "$expires_at"]}
_IS_FREE = {"$lte": [_END, "$$NOW"]}
_KNOWN_FOR_S = 3600.0  # that a holder let its lease lapse; MongoDB may have been away for as long


class MongoRenewalLeases:
    """One document for each lease that is held; not in the token's own document, which other programs write whole."""

    def __init__(self, database: MongoDatabase) -> None:
        self._leases = database[COLLECTION]

    def ensure_indexes(self) -> None:
        """Have MongoDB remove what a killed worker leaves behind."""
        with translated_errors():
            self._leases.create_index("expires_at", expireAfterSeconds=0)

    def acquire(self, account_id: str, owner: str, *, lease_s: float, for_refused: bool = False) -> RenewalLease | None:
        """Insert the lease, or take over one that has lapsed, in one atomic update; whose it is then is read off it."""
        lease = RenewalLease(account_id=account_id, owner=owner, holder=uuid4().hex, for_refused=for_refused)
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
            except DuplicateKeyError:  # two inserted at once, and this one came second
                return None
        if found is None or found["holder"] != lease.holder:
            return None
        return replace(lease, is_taken_over=found.get("before") is not None)

    def extend(self, lease: RenewalLease, *, lease_s: float) -> None:
        """Move the end of the lease, if it is still this one."""
        later = {"held_until": from_now(lease_s), "expires_at": from_now(lease_s + _KNOWN_FOR_S)}
        with translated_errors():
            self._leases.update_one({"_id": _id(lease), "holder": lease.holder}, [{"$set": later}])

    def release(self, lease: RenewalLease) -> None:
        """Remove the lease, if it is still this one."""
        with translated_errors():
            self._leases.delete_one({"_id": _id(lease), "holder": lease.holder})


def _id(lease: RenewalLease) -> Document:
    which = {"for_refused": True} if lease.for_refused else {}
    return {"account_id": lease.account_id, "owner": lease.owner, **which}
