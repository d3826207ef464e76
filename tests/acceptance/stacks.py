"""Stacks that tests share: one runs while tests in a row want the same, and each finds it whole and empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pymongo import MongoClient

from sandbox.processes import Process
from sandbox.programs import Programs
from sandbox.servers.ports import HOST, ReservedPort
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state

UNLIMITED = {"HUBSPOT_RATE_LIMIT": "0"}
ALL_TYPES = (("EXPORT_TYPES", "*"),)
PLAIN = StackOptions(settings=UNLIMITED, workers=0)
LEASE_S, SLICE_S = 5, 2
SHORT_LIVED = StackOptions(
    settings={**UNLIMITED, "LEASE_SECONDS": str(LEASE_S), "SLICE_SECONDS": str(SLICE_S)},
    workers=0,
    worker_arguments=("--concurrency=2",),
    ttl_sweep_s=1,
)
"""Jobs of a killed worker are free again in seconds. Tests with these options form the group "deaths"."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The workers that a test starts with; all have the same command line and settings of their own."""

    workers: int = 1
    slots: int = 2
    settings: Mapping[str, str] = field(default_factory=dict)


class SharedStacks:
    """Lends a running stack, which is replaced when other options are asked for or a test with it has failed."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._options: StackOptions | None = None
        self._stack: Stack | None = None
        self._crew: Crew | None = None
        self.is_spoiled = False

    @contextmanager
    def lent(self, options: StackOptions, crew: Crew | None = None) -> Iterator[Stack]:
        """Run a stack with these options and workers; what is in its database afterwards is removed.

        Servers that a test has stopped are its own to start again.
        """
        stack = self._with(options)
        self._man(stack, crew or Crew())
        try:
            yield stack
        except BaseException:
            self.is_spoiled = True
            raise
        if not self.is_spoiled:
            _empty(stack)

    def close(self) -> None:
        self._options = self._stack = self._crew = None
        self.is_spoiled = False
        self._open.close()

    def _with(self, options: StackOptions) -> Stack:
        if self._stack is not None and self._options == options and not self.is_spoiled:
            return self._stack
        self.close()
        folder = self._open.enter_context(temporary_state())
        self._stack = stack = self._open.enter_context(Stack(folder, options=options))
        self._open.callback(stack.dismiss_workers)  # no job of theirs is worth the time of an orderly end
        self._options = options
        return stack

    def _man(self, stack: Stack, crew: Crew) -> None:
        """Reuse the workers of the previous test if all are alive and equal the crew; else replace them."""
        alive = [worker.is_alive for worker in stack.workers]
        if crew != self._crew or alive != [True] * crew.workers:
            stack.dismiss_workers()
            _empty(stack)  # of the lease of a sweep that was killed: for a minute nobody else would sweep
            self._crew = crew
            for _ in range(crew.workers):
                stack.start_worker(f"--concurrency={crew.slots}", settings=crew.settings)
            for worker in stack.workers:
                worker.wait_ready()
        for process in (stack.shim, *stack.beats, *stack.workers):
            process.mark_log()
        stack.check()


@dataclass(frozen=True)
class Shim:
    """A shim beside the stack's own one."""

    process: Process
    url: str


@contextmanager
def another_shim(stack: Stack, **settings: str) -> Iterator[Shim]:
    """Run one more shim, with settings of its own."""
    with starting_shim(stack, **settings) as shim:
        shim.process.wait_ready()
        yield shim


@contextmanager
def starting_shim(stack: Stack, **settings: str) -> Iterator[Shim]:
    """Run one more shim without waiting until it is ready."""
    port = ReservedPort()
    folder = stack.folder / f"shim-{port.number}"
    for part in ("logs", "run"):
        (folder / part).mkdir(parents=True)
    process = Programs(folder=folder, settings={**stack.settings, **settings}).shim(port.number)
    try:
        yield Shim(process.start(), f"http://{HOST}:{port.number}")
    finally:
        process.stop()


def _empty(stack: Stack) -> None:
    """Delete all documents: a worker that still holds a job loses its lease and stops."""
    with MongoClient[dict[str, Any]](stack.settings["MONGODB_URI"]) as mongo:
        database = mongo[stack.settings["MONGODB_DATABASE"]]
        for name in database.list_collection_names():
            if name.startswith("integrations.hubspot."):
                database[name].delete_many({})
