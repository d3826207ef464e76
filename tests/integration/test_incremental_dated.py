"""Incremental syncs of the dated API on a real MongoDB: the copy is the portal's truth, deletions included."""

from __future__ import annotations

import random

import pytest
import responses

from tests.contract.stores import present
from tests.stack_fixtures import MongoDatabase
from tests.unit.worker.current_copy.test_incremental_dated import ANEW, Scene
from worker.current_copy.mongo.erasures import MongoErasureStore
from worker.current_copy.mongo.records import MongoRecordStore
from worker.jobs.copy_progress import SyncMode
from worker.mongo.transactions import MongoTransactions
from worker.records.types import DEALS, NOTES, ExportType


@pytest.mark.parametrize("export_type", [DEALS, NOTES, ExportType("tickets")])
def test_the_copy_is_the_truth_after_every_sync(mongo_database: MongoDatabase, export_type: ExportType) -> None:
    rng = random.Random(export_type)  # noqa: S311 - the same changes every time
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        scene = Scene(mocked, export_type)
        scene.clock.now = present()
        scene.shop.records = MongoRecordStore(mongo_database)  # type: ignore[assignment]  # in place of the fake
        scene.shop.erasures = MongoErasureStore(mongo_database)  # type: ignore[assignment]
        scene.shop.transactions = MongoTransactions(mongo_database)
        for kind in scene.kinds:
            scene.add(250, kind=kind)
        scene.full()
        for _ in range(3):
            for kind in scene.kinds:
                alive = scene.portal.alive(kind)
                for each in rng.sample(alive, 130):
                    scene.portal.archive(kind, each)
                for each in rng.sample(scene.portal.alive(kind), 20):
                    scene.portal.change(kind, each, **ANEW)
                scene.add(120, kind=kind)
            job = scene.sync(SyncMode.INCREMENTAL)
            assert job.changes is not None
            assert (job.changes.created, job.changes.deleted) == (120 * len(scene.kinds), 130 * len(scene.kinds))
            assert scene.copied().keys() == scene.alive()
