"""Checks that a shim started in this environment may open enough files for its connections."""

from __future__ import annotations

from api_shim.commands.checks.findings import Finding, verdict_on
from api_shim.operations.open_files import files_for, most_files, room_within

_ENOUGH = 500


def check_open_files(wanted: int | None) -> Finding:
    """Check the limit of open files; `wanted` is MAX_CONNECTIONS, if it is set."""
    files, enough = most_files(), wanted or _ENOUGH
    return verdict_on(
        "open files",
        f"the limit (nofile) is {files}, enough for {room_within(files)} connections of a shim started here",
        sound=room_within(files) >= enough,
        advice=f"raise it to {files_for(enough)} or more for {enough} connections: ulimits, LimitNOFILE, ulimit -n",
    )
