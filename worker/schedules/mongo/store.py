"""MongoScheduleStore: schedules in `integrations.hubspot.schedules`; what is due is decided by MongoDB's clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pymongo import ASCENDING, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from worker.errors import SpoiledScheduleError
from worker.mongo.database import Document, MongoDatabase, from_now, translated_errors
from worker.mongo.spoiled import SpoiledDocuments
from worker.schedules.interfaces import DueSchedules
from worker.schedules.mongo.documents import UNREADABLE, from_document, to_document
from worker.schedules.schedule import Schedule

COLLECTION = "integrations.hubspot.schedules"

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_IS_DUE = {
    "$and": [{"$lte": ["$due_at", "$$NOW"]}, {"$lte": ["$claimed_until", "$$NOW"]}]
}  # a missing claim compares as lower
_SET_ASIDE_S = 3600
_SETTINGS = (
    "cron",
    "timezone",
    "types",
    "properties",
    "mode",
    "full_every",
    "enabled",
    "overlap",
    "webhook",
    "jitter_s",
    "updated_at",
)
_RUNS = ("queued_for", "last_run_at", "last_job_id", "skipped_runs", "missed_runs")


class MongoScheduleStore:
    """One document for each schedule; a dispatcher may claim it from `due_at` on, null where it is switched off."""

    def __init__(self, database: MongoDatabase, spoiled: SpoiledDocuments | None = None) -> None:
        self._schedules = database[COLLECTION]
        self._spoiled = spoiled or SpoiledDocuments()

    def ensure_indexes(self) -> None:
        """Create the indexes: one schedule for each (account, owner), and those that are due."""
        with translated_errors():
            self._schedules.create_index([("account_id", ASCENDING), ("owner", ASCENDING)], unique=True)
            self._schedules.create_index("due_at")

    def get(self, account_id: str, owner: str) -> Schedule | None:
        with translated_errors():
            document = self._schedules.find_one({"account_id": account_id, "owner": owner})
        try:
            return from_document(document) if document is not None else None
        except UNREADABLE as error:
            raise SpoiledScheduleError from error

    def put(self, schedule: Schedule) -> tuple[Schedule, bool]:
        """Update an existing schedule atomically, or insert one."""
        with translated_errors():
            while (changed := self._change(schedule)) is None:
                try:
                    self._schedules.insert_one({**to_document(schedule), "due_at": schedule.next_run_at})
                except DuplicateKeyError:
                    continue  # another process has inserted one meanwhile: update that
                return schedule, True
        return changed, False

    def remove(self, account_id: str, owner: str) -> bool:
        with translated_errors():
            return self._schedules.delete_one({"account_id": account_id, "owner": owner}).deleted_count > 0

    def note_portal(self, schedule_id: str, hub_id: int) -> None:
        with translated_errors():
            self._schedules.update_one({"_id": schedule_id}, {"$set": {"hub_id": hub_id}})

    def take_due(self, *, limit: int, lease_s: float) -> DueSchedules:
        """Find due ones, claim those that nobody else has claimed since, and read what was claimed."""
        claim = uuid4().hex
        # `$gt` keeps schedules that are switched off (null) out of the index range; `$expr` compares by the server's
        # clock.
        due = {"due_at": {"$gt": _LONG_AGO}, "$expr": _IS_DUE}
        with translated_errors():
            found = list(self._schedules.find(due, {"_id": True}).sort("due_at", ASCENDING).limit(limit))
            if not found:
                return DueSchedules(claim=claim, at=_LONG_AGO, schedules=())
            some = {"_id": {"$in": [document["_id"] for document in found]}}
            claimed = {"claim": claim, "claimed_until": from_now(lease_s)}
            self._schedules.update_many({**some, **due}, [{"$set": claimed}])
            documents = list(self._schedules.find({**some, "claim": claim}))
            # The instant of the claim by the server's clock is read off what it has written.
            until = max((document["claimed_until"] for document in documents), default=_LONG_AGO)
            taken = tuple(self._readable(documents))
        return DueSchedules(claim=claim, at=until - timedelta(seconds=lease_s), schedules=taken)

    def _readable(self, documents: Iterable[Document]) -> Iterator[Schedule]:
        """Yield the schedules that can be read, so that a spoiled document does not stop the others.

        A spoiled one is made due later: those due longest are claimed first, and many of them could fill every batch.
        """
        for document in documents:
            try:
                yield from_document(document)
            except UNREADABLE as error:
                mine = {"_id": document["_id"], "claim": document["claim"]}
                later: list[Document] = [
                    {"$set": {"due_at": from_now(_SET_ASIDE_S)}},
                    {"$unset": ["claim", "claimed_until"]},
                ]
                self._schedules.update_one(mine, later)
                self._spoiled.report(COLLECTION, document["_id"], error)

    def release(self, taken: DueSchedules, schedules: Sequence[Schedule], *, look_again_s: float) -> None:
        """Write all that are still claimed in one call; then the last runs of the others."""
        soon = taken.at + timedelta(seconds=look_again_s)
        if not schedules:
            return
        moved = [
            UpdateOne(
                {"_id": each.schedule_id, "claim": taken.claim},
                {
                    "$set": {**_part_of(each, _RUNS), "next_run_at": each.next_run_at, "due_at": _due_at(each, soon)},
                    "$unset": {"claim": True, "claimed_until": True},
                },
            )
            for each in schedules
        ]
        with translated_errors():
            written = self._schedules.bulk_write(moved, ordered=False).matched_count
            if written < len(moved):
                self._note_runs(taken, schedules)

    def _change(self, schedule: Schedule) -> Schedule | None:
        """Write the owner's settings and drop a claim, whose holder has read the old ones."""
        settings = {name: {"$literal": value} for name, value in _part_of(schedule, _SETTINGS).items()}
        # Whether the next run stays is decided from the stored schedule, in the write that replaces it.
        is_same = [{"$eq": [f"${name}", settings[name]]} for name in ("cron", "timezone", "enabled", "jitter_s")]
        keeps_next_run = {"$and": [*is_same, {"$ne": ["$next_run_at", None]}]}
        change = {
            **settings,
            "next_run_at": {"$cond": [keeps_next_run, "$next_run_at", {"$literal": schedule.next_run_at}]},
            "due_at": {"$cond": [keeps_next_run, "$due_at", {"$literal": schedule.next_run_at}]},
            "queued_for": "$queued_for" if schedule.is_enabled else None,
        }
        key = {"account_id": schedule.account_id, "owner": schedule.owner}
        pipeline: list[Document] = [{"$set": change}, {"$unset": ["claim", "claimed_until"]}]
        document = self._schedules.find_one_and_update(key, pipeline, return_document=ReturnDocument.AFTER)
        if document is None:
            return None
        try:
            return from_document(document)
        except UNREADABLE:
            whole = replace(schedule, schedule_id=document["_id"])
            self._schedules.replace_one(key, {**to_document(whole), "due_at": whole.next_run_at})
            return whole

    def _note_runs(self, taken: DueSchedules, schedules: Sequence[Schedule]) -> None:
        """Record the syncs that were started for schedules that were written after they were claimed."""
        started = [each for each in schedules if each.last_run_at == taken.at]
        notes = [
            UpdateOne(
                {"_id": each.schedule_id, "$or": [{"last_run_at": None}, {"last_run_at": {"$lt": taken.at}}]},
                {"$set": _part_of(each, ("last_run_at", "last_job_id"))},
            )
            for each in started
        ]
        if notes:
            self._schedules.bulk_write(notes, ordered=False)


def _due_at(schedule: Schedule, soon: datetime) -> datetime | None:
    if schedule.next_run_at is None or schedule.queued_for is None:
        return schedule.next_run_at
    return min(schedule.next_run_at, soon)


def _part_of(schedule: Schedule, names: Sequence[str]) -> Document:
    document = to_document(schedule)
    return {name: document[name] for name in names}
