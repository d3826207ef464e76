"""The temporary folder of one stack: private, removed at the end, and by the next run where there was no end."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "hubspot-export-sandbox-"
_UNLOCKED = "new-"


@contextmanager
def temporary_state() -> Iterator[Path]:
    """Make an empty folder that only this user can read, and remove it afterwards.

    A run that was killed leaves about 300 MB behind. Its lock went with it, so its folder is recognised and removed.
    """
    _remove_leftovers(Path(tempfile.gettempdir()))
    folder, lock = _locked_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked_folder() -> tuple[Path, int]:
    """Lock a folder before it gets its name, so that a run that removes leftovers never finds it without a lock."""
    unlocked = Path(tempfile.mkdtemp(prefix=_UNLOCKED + _PREFIX))
    lock = _try_lock(unlocked)
    if lock is None:
        raise OSError(f"{unlocked} cannot be locked")
    return unlocked.rename(unlocked.with_name(unlocked.name.removeprefix(_UNLOCKED))), lock


def _remove_leftovers(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}????????"):
        lock = _try_lock(folder)
        if lock is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """Lock a folder of ours for as long as the answer, a file descriptor, is open; None when that cannot be."""
    try:
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
