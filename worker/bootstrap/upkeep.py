"""Builds what runs without a caller: the sweeper, the dispatcher of schedules, the deliverer of webhooks."""

from __future__ import annotations

from functools import partial

from worker.accounts.mongo.portals import MongoPortalStore
from worker.app import app
from worker.bootstrap.accounts import Accounts
from worker.bootstrap.copies import Copies
from worker.bootstrap.infrastructure import Infrastructure
from worker.current_copy.upkeep import CopyUpkeep
from worker.instrumented.metrics import MeasuredSender
from worker.lifecycle.actions import JobActions
from worker.lifecycle.caps import StoredBytesCap
from worker.lifecycle.chores import JobAdoption, OrphanedPages
from worker.lifecycle.interfaces import INTERRUPTED_AFTER_S, UNFOLLOWED_AFTER_S, UpkeepStore
from worker.lifecycle.sweeper import Sweeper, SweepLimits
from worker.messaging.celery_queues import CeleryDeliveryQueue, CelerySyncQueue
from worker.schedules.dispatcher import Dispatcher
from worker.schedules.mongo.store import MongoScheduleStore
from worker.webhooks.deliverer import Deliverer, publish_due
from worker.webhooks.keyed_pool import KeyedThreadPool
from worker.webhooks.mongo import MongoDeliveryStore
from worker.webhooks.sender import SsrfSafeSender
from worker.webhooks.signature import Signer

_REPUBLISH_S = 60.0  # a delivery whose message led to no attempt is published again after so long
_BATCH = 500
_DELIVERING, _WAITING = 32, 25  # threads, and how many deliveries wait for one; the rest stays in the database


def build_sweeper(infra: Infrastructure, copies: Copies, upkeep: UpkeepStore) -> Sweeper:
    jobs, pages = infra.jobs, infra.pages
    deliveries, queue = MongoDeliveryStore(infra.database), CeleryDeliveryQueue(app)
    actions = JobActions(jobs=jobs, pages=pages, queue=infra.queue, result_ttl=infra.result_ttl, clock=infra.clock)
    return Sweeper(
        jobs=jobs,
        queue=infra.published,  # the metrics count a sweep's publications by themselves
        upkeep=upkeep,
        duties=(
            partial(actions.recover_syncs, quiet_s=UNFOLLOWED_AFTER_S, limit=_BATCH),
            partial(publish_due, deliveries, queue, quiet_s=_REPUBLISH_S),
        ),
        chores=(
            partial(actions.recover_interrupted, quiet_s=INTERRUPTED_AFTER_S, limit=_BATCH),
            CopyUpkeep(records=copies.records, portals=MongoPortalStore(infra.database)).recover_interrupted,
            copies.eraser.recover_interrupted,
            OrphanedPages(jobs=jobs, pages=pages, upkeep=upkeep).collect,
            JobAdoption(jobs=jobs, upkeep=upkeep).adopt,
        ),
        limits=SweepLimits(slots=infra.settings.slots_per_account),
    )


def build_dispatcher(infra: Infrastructure, accounts: Accounts) -> Dispatcher:
    most, metrics = infra.settings.max_stored_bytes_per_account, infra.job_metrics
    return Dispatcher(
        schedules=MongoScheduleStore(infra.database, infra.spoiled),
        jobs=infra.jobs,
        queue=CelerySyncQueue(app),
        connections=accounts.health,
        storage=StoredBytesCap(jobs=infra.jobs, most=most, tell=metrics.count_storage_warning),
    )


def build_deliverer(infra: Infrastructure) -> Deliverer:
    settings, clock = infra.settings, infra.clock
    sender = SsrfSafeSender(allow_private=settings.webhook_allow_private, clock=clock)
    return Deliverer(
        deliveries=MongoDeliveryStore(infra.database),
        jobs=infra.jobs,
        pages=infra.pages,
        sender=MeasuredSender(sender, infra.instruments.metrics),
        signer=Signer(settings.webhook_secret),
        pool=KeyedThreadPool(threads=_DELIVERING, waiting=_WAITING, stopping=infra.stopping, name="delivering"),
        clock=clock,
    )
