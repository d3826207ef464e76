"""An idle deployment asks its servers for next to nothing, and reacts as promptly as a busy one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient
from redis import Redis

from benchmarks.idle import AIMS, Rates, rates, read
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.acceptance.test_job_control import waiting_job
from tests.acceptance.test_schedules import make_due, schedule_of, scheduled
from tests.contract.stores import new_job
from tests.patience import HELD_UP_S, until
from tests.stack_fixtures import MongoDatabase
from worker.jobs.mongo.documents import COLLECTION
from worker.jobs.mongo.jobs import MongoJobStore

SETTLING_S, WATCHED_S = 12.0, 20.0
# Each is far less than the minute after which beat enqueues a sweep in any case: so it was seen.
STARTED_WITHIN_S = 5.0
PUBLISHED_AGAIN_WITHIN_S = 17.0


@pytest.fixture(scope="module")
def idle() -> Iterator[Stack]:
    """Run a stack in which there is nothing to do, until beat has noticed."""
    options = StackOptions(settings={"HUBSPOT_RATE_LIMIT": "0"})
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        time.sleep(SETTLING_S)  # what is measured is a rate, of a stack that is left alone
        yield stack


@contextmanager
def database_of(stack: Stack) -> Iterator[MongoDatabase]:
    with MongoClient[dict[str, Any]](stack.settings["MONGODB_URI"], tz_aware=True) as mongo:
        yield mongo[stack.settings["MONGODB_DATABASE"]]


def seconds_until(holds: Callable[[], object]) -> float:
    began_at = time.monotonic()
    until(holds)
    return time.monotonic() - began_at


def is_finished(client: Client, path: str) -> bool:
    return bool(client.job(path)["finished_at"])


def watched(stack: Stack) -> Rates:
    with database_of(stack) as database, Redis.from_url(stack.redis.url) as redis:
        before, began_at = read(database.client, redis), time.monotonic()
        time.sleep(WATCHED_S)
        return rates(before, read(database.client, redis), seconds=time.monotonic() - began_at)


def test_it_asks_for_less_than_is_aimed_at(idle: Stack) -> None:
    found = watched(idle)
    if "findAndModify" in found.mongo:  # the sweep of the minute, which no two stretches in a row have
        found = watched(idle)

    measured = found.against_aims()
    assert measured.keys() == AIMS.keys()
    assert all(measured[name] <= AIMS[name] for name in AIMS), found
    assert measured["MongoDB, commands"] > 0.1, found  # somebody looks


def test_a_job_whose_shim_died_before_it_published_is_published_for_in_time(idle: Stack) -> None:
    client = connect(idle, contacts=5)
    job = replace(new_job(account_id=client.account.account_id), job_id=uuid4().hex, owner=client.account.owner)
    with database_of(idle) as database:
        MongoJobStore(database).add(job)

    took_s = seconds_until(lambda: is_finished(client, f"/jobs/{job.job_id}"))

    assert took_s < PUBLISHED_AGAIN_WITHIN_S + HELD_UP_S


def test_a_job_whose_wait_is_over_goes_on_at_once(idle: Stack) -> None:
    client = connect(idle, contacts=250)
    path = waiting_job(client)
    time.sleep(4)  # two looks that find that it waits
    with database_of(idle) as database:
        wanted = {"_id": path.rpartition("/")[2]}
        is_over = dict.fromkeys(("resume_at", "ready_at", "due_at"), "$$NOW")
        database[COLLECTION].update_one(wanted, [{"$set": is_over}])

    took_s = seconds_until(lambda: is_finished(client, path))

    assert took_s < STARTED_WITHIN_S + HELD_UP_S


def test_a_schedule_that_comes_due_starts_its_sync_at_once(idle: Stack) -> None:
    client = connect(idle, contacts=5)
    scheduled(client)
    time.sleep(4)  # two looks that find that it is not due
    make_due(client)

    took_s = seconds_until(lambda: schedule_of(client)["last_job_id"])

    assert took_s < STARTED_WITHIN_S + HELD_UP_S
