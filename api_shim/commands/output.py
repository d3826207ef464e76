"""Where data goes: stdout, or a file that has its name only when it is whole."""

from __future__ import annotations

import errno
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import click

_OWNER_ONLY = 0o600


@contextmanager
def open_output(path: Path | None) -> Iterator[IO[bytes]]:
    """Give what data is written to: stdout, or a file beside `path` that takes its name at the end.

    The file is its owner's alone (mode 0600), since it holds customers' records.

    A file is opened at once, so that one that cannot be written is no surprise after hours. What cannot be written
    is one line; a reader of stdout that has gone is click's affair.
    """
    try:
        with _stdout() if path is None else _file(path) as out:
            yield out
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise click.ClickException(f"{path or 'stdout'}: {error.strerror}") from None


@contextmanager
def _stdout() -> Iterator[IO[bytes]]:
    out = sys.stdout.buffer
    try:
        try:
            yield out
        finally:
            out.flush()
    except OSError:
        _drop_what_is_buffered()
        raise


def _drop_what_is_buffered() -> None:
    """Send the rest nowhere: Python would try it again at the end, and complain in its own words."""
    with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


@contextmanager
def _file(path: Path) -> Iterator[IO[bytes]]:
    target = path.resolve()  # a link goes on pointing where it does
    if target.exists() and not target.is_file():  # a pipe or a device keeps its name
        with target.open("wb") as out:
            yield out
        return
    part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    with _removed_on_failure(part):
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(target)


@contextmanager
def _removed_on_failure(part: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:  # Ctrl-C among them
        part.unlink(missing_ok=True)
        raise
