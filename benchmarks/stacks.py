"""Shared by most benchmarks: a stack for one measurement, its database, and exports that must succeed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import click
import requests

from sandbox.export_api import ExportApi, JobState
from sandbox.seeding import Account, mint_jwt
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from worker.mongo.database import MongoDatabase, connect

ACCOUNT = Account(account_id="account", owner="user", hub_id=62515)
"""The account of benchmarks that need only one."""

_DATABASE_TIMEOUT_S = 60


class ExportFailedError(click.ClickException):
    """An export ended without all the records that it should have."""


@contextmanager
def running_stack(options: StackOptions | None = None) -> Iterator[Stack]:
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        yield stack


@contextmanager
def open_database(stack: Stack) -> Iterator[MongoDatabase]:
    """Connect to the stack's database, with a longer timeout than the product's."""
    settings = stack.settings
    database = connect(settings["MONGODB_URI"], database=settings["MONGODB_DATABASE"], timeout_s=_DATABASE_TIMEOUT_S)
    with database.client:
        yield database


def api_of(stack: Stack, account: Account, session: requests.Session) -> ExportApi:
    token = mint_jwt(stack, account, life=timedelta(hours=2))
    return ExportApi(stack.shim_url, token=token, session=session)


def look_at(api: ExportApi, path: str, *, records: int) -> JobState:
    """Return the job. Raises ExportFailedError if it has ended otherwise than with exactly `records` records."""
    job = api.job(path)
    if job.has_ended and (job.status, job.records) != ("succeeded", records):
        raise ExportFailedError(f"an export {job.status} with {job.records} of {records} records: {job.error}")
    return job


def finished(api: ExportApi, path: str, *, records: int, poll_s: float = 0.05) -> JobState:
    """Poll the job until it has ended. Raises as `look_at` does."""
    while not (job := look_at(api, path, records=records)).has_ended:
        time.sleep(poll_s)
    return job
