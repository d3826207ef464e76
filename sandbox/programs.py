"""The command line and the readiness check of each program of the stack."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import requests

from sandbox.configuration import python_environment
from sandbox.processes import Command, Process
from sandbox.servers.ports import HOST, is_open
from sandbox.shifted_clock import ShiftedClocks

_ANSWER_S = 2
_WITHOUT_NEIGHBOURS = ("--without-mingle", "--without-gossip")  # looking for other workers takes a second


class Programs:
    """Builds processes that run below `folder`, each with its own log and the given settings; starts none of them."""

    def __init__(self, *, folder: Path, settings: Mapping[str, str], clocks: ShiftedClocks | None = None) -> None:
        self.logs = folder / "logs"
        self._run = folder / "run"
        self._environment = {**python_environment(), **settings}
        self._clocks = clocks

    def hubspot(self, port: int) -> Process:
        """Build the fake HubSpot."""
        arguments = ("sandbox.hubspot", "--host", HOST, "--port", str(port))
        return self._python("hubspot", arguments, ready=lambda _: is_open(port))

    def shim(self, port: int) -> Process:
        """Build the HTTP shim; ready when /readyz answers 200."""
        arguments = ("api_shim", "--host", HOST, "--port", str(port))
        return self._python("shim", arguments, ready=lambda _: _is_ready(port))

    def worker(self, number: int, *arguments: str) -> Process:
        """Build a Celery worker; ready when Celery logs that it consumes."""
        name = f"worker-{number}"
        words = ("worker", "--hostname", f"{name}@sandbox", *_WITHOUT_NEIGHBOURS, *arguments)
        return self._celery(name, words, ready=lambda process: process.has_written(f"{name}@sandbox ready."))

    def beat(self, number: int) -> Process:
        """Build a Celery beat."""
        return self._celery(f"beat-{number}", ("beat",), ready=lambda process: process.has_written("starting"))

    def _celery(self, name: str, words: tuple[str, ...], *, ready: Callable[[Process], bool]) -> Process:
        return self._python(name, ("celery", "-A", "worker", *words), ready=ready)

    def _python(self, name: str, words: tuple[str, ...], *, ready: Callable[[Process], bool]) -> Process:
        return Process(
            name=name,
            command=Command(
                arguments=(sys.executable, "-m", *words),
                environment={**self._environment, **self._clock_of(name)},
                folder=self._run,
            ),
            log=self.logs / f"{name}.log",
            ready=ready,
        )

    def _clock_of(self, name: str) -> dict[str, str]:
        return self._clocks.environment_of(name) if self._clocks is not None else {}


def _is_ready(port: int) -> bool:
    try:
        return is_open(port) and requests.get(f"http://{HOST}:{port}/readyz", timeout=_ANSWER_S).ok
    except requests.RequestException:
        return False
