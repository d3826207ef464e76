"""Logs: who is heard at which level, one JSON object a line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
OURS, LIBRARIES = (
    ("worker.export.slice", "api_shim.operations.request_log"),
    ("celery.apps.worker", "urllib3.connectionpool"),
)

# In a process of its own: logging is configured for all of one.
SPEAK = f"""
import logging, sys
from worker.telemetry.logs import configure_logs

configure_logs("json", sys.argv[1])
for name in {(*OURS, *LIBRARIES)}:
    for level in ("debug", "info", "warning"):
        getattr(logging.getLogger(name), level)("said")
"""


def heard(level: str) -> dict[str, list[str]]:
    """Return for each logger the levels that it emits."""
    run = subprocess.run(
        [sys.executable, "-c", SPEAK, level],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, list[str]] = {}
    for line in map(json.loads, run.stderr.splitlines()):
        found.setdefault(line["logger"], []).append(line["level"])
    return found


def test_at_debug_our_own_lines_are_heard_and_no_address_of_a_library() -> None:
    assert heard("debug") == {
        **{key: ["debug", "info", "warning"] for key in OURS},
        "celery.apps.worker": ["info", "warning"],
    }


def test_at_warning_nothing_less_is_heard_of_anyone() -> None:
    assert heard("warning") == {key: ["warning"] for key in (*OURS, "celery.apps.worker")}
