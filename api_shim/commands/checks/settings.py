"""Checks the settings of a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from api_shim.commands.checks.findings import Finding, ok, wrong
from worker.settings import BrokerSettings, read

SettingsT = TypeVar("SettingsT", bound=BrokerSettings)


def check_settings(kind: type[SettingsT], *, process: str) -> Iterator[Finding]:
    """Report that the settings are valid, or what is wrong with each that is not."""
    _, complaints = read(kind)
    for complaint in complaints:
        yield wrong(f"{process} settings", complaint)
    if not complaints:
        yield ok(f"{process} settings", "complete and valid")
