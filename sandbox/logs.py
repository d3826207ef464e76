"""Reads the end of a log file, for error messages."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_BYTES_A_LINE = 500


def tail(log: Path, *, lines: int = 15) -> str:
    """Return the last lines of a log, "" if there is none; a very long line may be cut at its beginning."""
    with suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - lines * _BYTES_A_LINE))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    return ""
