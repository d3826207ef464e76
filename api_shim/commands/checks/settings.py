"""Whether the settings of a process load, and every complaint when they do not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from api_shim.commands.findings import Finding, ok, wrong
from worker.settings import BrokerSettings, read

SettingsT = TypeVar("SettingsT", bound=BrokerSettings)


def check_settings(kind: type[SettingsT], *, process: str) -> Iterator[Finding]:
    """Say that the settings of a process are right, or what each wrong one needs."""
    _, complaints = read(kind)
    for complaint in complaints:
        yield wrong(f"{process} settings", complaint)
    if not complaints:
        yield ok(f"{process} settings", "complete and valid")
