"""The whole product on this machine as one object: database, broker, fake HubSpot, workers, beat and shim."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import requests

from sandbox.configuration import product_settings
from sandbox.control import HubSpotControl
from sandbox.processes import Pause, Process, stop_all
from sandbox.programs import Programs
from sandbox.servers.embedded import embedded_mongo, embedded_redis
from sandbox.servers.ports import HOST, ReservedPort
from sandbox.shifted_clock import ShiftedClocks

_GRACE_S = 10
_GRACE_WITHOUT_SERVERS_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """How a stack differs from the default.

    `settings` override product settings; `worker_arguments` are appended to the command line of every worker
    (`--concurrency=2`). `clock_shifts_s` shift the clocks of programs in seconds, by name (`worker-1`, `beat-1`,
    `shim`).
    """

    workers: int = 1
    worker_arguments: tuple[str, ...] = ()
    beats: int = 1
    shim: bool = True
    mongo_members: int = 1
    ttl_sweep_s: int = 60
    settings: Mapping[str, str] = field(default_factory=dict)
    clock_shifts_s: Mapping[str, int] = field(default_factory=dict)


class Stack:
    """A stack that runs while entered, below an existing folder.

    Must be entered in the main thread. The constructor raises UnusableBinaryError and NoShiftedClockError; entering
    raises ProcessFailedError after stopping what was started so far. `pause` is used for waiting; it may raise to abort
    the start.
    """

    def __init__(self, folder: Path, *, options: StackOptions | None = None, pause: Pause = time.sleep) -> None:
        self.options = options or StackOptions()
        self.folder = folder
        (folder / "run").mkdir()
        self._ports = {name: ReservedPort() for name in ("hubspot", "shim")}
        self._pause = pause
        self._cleanup = ExitStack()
        self.mongo = embedded_mongo(folder, members=self.options.mongo_members, ttl_sweep_s=self.options.ttl_sweep_s)
        self.redis = embedded_redis(folder)
        self.settings = {**self._usual_settings(), **self.options.settings}
        self._clocks = ShiftedClocks(folder, self.options.clock_shifts_s)
        self._programs = Programs(folder=folder, settings=self.settings, clocks=self._clocks)
        self.hubspot = self._programs.hubspot(self._ports["hubspot"].number)
        self.shim = self._programs.shim(self._ports["shim"].number)
        self.workers: list[Process] = []
        self.beats: list[Process] = []
        self._workers_started = 0

    def __enter__(self) -> Self:
        with ExitStack() as cleanup:
            session = cleanup.enter_context(requests.Session())
            self.hubspot_control = HubSpotControl(self.hubspot_url, session=session)
            # without a grace: their data goes with the folder, and an orderly end takes a second
            cleanup.callback(lambda: stop_all(self._servers, grace_s=0))
            cleanup.callback(self._stop_product)
            self._start()
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    @property
    def hubspot_url(self) -> str:
        """Base URL of the fake HubSpot."""
        return f"http://{HOST}:{self._ports['hubspot'].number}"

    @property
    def shim_url(self) -> str:
        """Base URL of the shim."""
        return f"http://{HOST}:{self._ports['shim'].number}"

    @property
    def logs(self) -> Path:
        """The folder with one log per process."""
        return self._programs.logs

    def check(self) -> None:
        """Raise ProcessFailedError if a process has exited without being stopped or killed through this stack."""
        for process in (*self._servers, *self._product):
            process.check()

    def start_worker(self, *arguments: str, settings: Mapping[str, str] | None = None) -> Process:
        """Start one more worker and return at once; its `wait_ready` waits until it takes tasks.

        `arguments` and `settings` are its own, and outrank those of the stack. Its number was no other worker's.
        """
        self._workers_started += 1
        programs = Programs(folder=self.folder, settings={**self.settings, **(settings or {})}, clocks=self._clocks)
        worker = programs.worker(self._workers_started, *self.options.worker_arguments, *arguments)
        self.workers.append(worker)
        return worker.start()

    def dismiss_workers(self) -> None:
        """Kill all workers and forget them, as if none had been started."""
        for worker in self.workers:
            worker.kill()
        self.workers.clear()

    def start_beat(self) -> Process:
        """Start one more beat and return at once."""
        beat = self._programs.beat(len(self.beats) + 1)
        self.beats.append(beat)
        return beat.start()

    @property
    def _servers(self) -> list[Process]:
        return [self.hubspot, self.redis, *self.mongo.members]

    @property
    def _product(self) -> list[Process]:
        return [self.shim, *self.beats, *self.workers]

    def _stop_product(self) -> None:
        """Let running slices end in order, unless a server that they need is gone."""
        can_end_well = all(server.is_alive for server in self._servers)
        stop_all(self._product, grace_s=_GRACE_S if can_end_well else _GRACE_WITHOUT_SERVERS_S)

    def _usual_settings(self) -> dict[str, str]:
        return product_settings(
            mongodb_uri=self.mongo.uri,
            redis_url=self.redis.url,
            hubspot_url=self.hubspot_url,
            shim_url=self.shim_url,
        )

    def _pause_and_check(self, seconds: float) -> None:
        """Detect the death of any process while waiting for one."""
        self._pause(seconds)
        self.check()

    def _start(self) -> None:
        """Start each process as soon as its dependencies run, then wait until all are ready."""
        self.mongo.start()
        self.redis.start()
        self.hubspot.start()
        self.redis.wait_ready(pause=self._pause_and_check)
        for _ in range(self.options.workers):
            self.start_worker()
        for _ in range(self.options.beats):
            self.start_beat()
        self.mongo.wait_ready(pause=self._pause_and_check)
        if self.options.shim:
            self.shim.start()
        for process in (self.hubspot, *self.workers, *self.beats, *([self.shim] if self.options.shim else [])):
            process.wait_ready(pause=self._pause_and_check)
