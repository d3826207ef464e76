"""Reads an export once: through the shim, with its memory sampled, or directly from the database."""

from __future__ import annotations

import csv
import http.client
import io
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Self
from urllib.parse import urlsplit

import psutil

from api_shim.downloads.surveys import Survey
from api_shim.downloads.tables import Table
from benchmarks.measuring import RunningProcess
from benchmarks.stacks import ACCOUNT
from sandbox.seeding import mint_jwt
from sandbox.stack import Stack
from worker.jobs.job import Job
from worker.mongo.database import MongoDatabase
from worker.pages.mongo.pages import MongoPageStore
from worker.records.page import split_records

_READ_BYTES = 1024 * 1024
_SAMPLE_EVERY_S = 0.01
_TIMEOUT_S = 600
_SAMPLED_PAGES = 20


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One pass over the export; CPU time and peak memory are those of the sending process."""

    bytes: int
    seconds: float
    cpu_s: float
    first_byte_s: float = 0.0
    resident: int = 0


class Sampler:
    """Samples the resident set of a process a hundred times a second, and its CPU time at the end.

    Not `RunningProcess.cost().peak_mb`, which covers the whole life of the process, earlier downloads included.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._running = RunningProcess(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.peak = self._process.memory_info().rss
        self.cpu_s = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.cpu_s = self._running.cost().cpu_s

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_EVERY_S):
            self.peak = max(self.peak, self._process.memory_info().rss)


def download(stack: Stack, job: Job, *, query: str, coding: str) -> Reading:
    """Download an export and discard it. Raises on another status than 200 and on an incomplete body."""
    token = mint_jwt(stack, ACCOUNT, life=timedelta(hours=1))
    path = f"/v1/integrations/hubspot/jobs/{job.job_id}/download?{query}"
    connection = http.client.HTTPConnection(urlsplit(stack.shim_url).netloc, timeout=_TIMEOUT_S)
    with Sampler(stack.shim.pid) as sampler:
        began_at = time.perf_counter()
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}", "Accept-Encoding": coding})
        answer = connection.getresponse()
        read = len(answer.read(1))
        first_byte_s = time.perf_counter() - began_at
        if answer.status != http.client.OK:
            raise SystemExit(f"{answer.status} {answer.read().decode()}")
        while chunk := answer.read1(_READ_BYTES):
            read += len(chunk)
        seconds = time.perf_counter() - began_at
    connection.close()
    return Reading(bytes=read, seconds=seconds, cpu_s=sampler.cpu_s, first_byte_s=first_byte_s, resident=sampler.peak)


def read_bare(database: MongoDatabase, job: Job) -> Reading:
    """Read all pages with one cursor and decompress them: the minimum of any download."""
    began_at, cpu_s = time.perf_counter(), time.process_time()
    read = sum(len(page.body) for page in MongoPageStore(database).all(job.job_id))
    return Reading(bytes=read, seconds=time.perf_counter() - began_at, cpu_s=time.process_time() - cpu_s)


def write_bare(database: MongoDatabase, job: Job, reading: Reading) -> Reading:
    """Add the cost of csv.writer to a reading of all pages, extrapolated from the first 20."""
    pages = islice(MongoPageStore(database).all(job.job_id), _SAMPLED_PAGES)
    records = [record for page in pages for record in split_records(job.records_type, page.body)]
    survey = Survey()
    for record in records:
        survey.note(record)
    table = Table(job.records_type, survey.columns())
    rows = [table.row(record) for record in records]
    began_at, cpu_s, text = time.perf_counter(), time.process_time(), io.StringIO()
    csv.writer(text).writerows(rows)
    written = len(text.getvalue().encode())
    seconds, cpu_s = time.perf_counter() - began_at, time.process_time() - cpu_s
    scale = job.progress.records / len(rows)
    return Reading(
        bytes=round(written * scale),
        seconds=reading.seconds + seconds * scale,
        cpu_s=reading.cpu_s + cpu_s * scale,
    )
