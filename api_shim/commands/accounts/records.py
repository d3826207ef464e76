"""`hubspot-export records`: read the current copy, or what has changed in it since the last run."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click

from api_shim.commands.api import ExportApi, with_retries
from api_shim.commands.options import checked_type, out_option, with_api
from api_shim.commands.output import open_output

_DEFAULT_LIMIT = 10
_RECORDS_A_CALL = 1000


@click.command("records")
@click.argument("export_type", metavar="TYPE", callback=checked_type)
@click.option(
    "--changed-since", metavar="INSTANT", help="Only records that changed then or later: 2026-11-23T15:00:00Z."
)
@click.option("--deleted", type=click.Choice(["false", "true", "only"]), help="Deleted records.  [default: false]")
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"The maximum number of records.  [default: {_DEFAULT_LIMIT}]"
)
@click.option("--all", "everything", is_flag=True, help="All records.")
@click.option(
    "--place-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Continue after the cursor in FILE, to the end, and store the new cursor there: what has changed since.",
)
@out_option()
@with_api
def command(  # noqa: PLR0913 - a command takes what a command line can say, each by name
    api: ExportApi,
    /,
    *,
    export_type: str,
    changed_since: str | None,
    deleted: str | None,
    limit: int | None,
    everything: bool,
    place_file: Path | None,
    out: Path | None,
) -> None:
    """Read the current copy in the order in which its records have changed, one JSON object a line.

    With --place-file an interrupted command may repeat records, but none is missed.
    """
    if limit is not None and (everything or place_file is not None):
        raise click.UsageError("--limit goes neither with --all nor with --place-file")
    is_whole = everything or place_file is not None
    wanted = {"changed_since": changed_since, "deleted": deleted}
    reading = _Reading(api, export_type, **{name: value for name, value in wanted.items() if value is not None})
    reading.cursor = _stored_cursor(place_file)
    with open_output(out) as sink:
        for lines in reading.pages(None if is_whole else limit or _DEFAULT_LIMIT):
            sink.writelines(line + b"\n" for line in lines)
    if place_file is not None and reading.cursor is not None:
        with open_output(place_file) as kept:
            kept.write(reading.cursor.encode() + b"\n")


class _Reading:
    """A list that is read page after page; `cursor` is where the next page starts."""

    def __init__(self, api: ExportApi, export_type: str, **wanted: str) -> None:
        self._api = api
        self._export_type = export_type
        self._wanted = wanted
        self.cursor: str | None = None

    def pages(self, most: int | None) -> Iterator[list[bytes]]:
        """Yield the records of each call, at most `most` in all; None: all there are."""
        remaining, has_more = most, True
        while has_more and remaining != 0:
            limit = _RECORDS_A_CALL if remaining is None else min(remaining, _RECORDS_A_CALL)
            ask = partial(self._api.records, self._export_type, wanted=self._wanted, limit=limit, cursor=self.cursor)
            page = with_retries(ask, pause=self._api.outside.pause)
            self.cursor, has_more = page.cursor, page.has_more
            remaining = None if remaining is None else remaining - len(page.lines)
            yield page.lines


def _stored_cursor(path: Path | None) -> str | None:
    """Return the cursor of the last run; None, the start, where the file does not exist yet."""
    try:
        return path.read_text(encoding="ascii").strip() or None if path is not None else None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: {getattr(error, 'strerror', None) or 'holds no place'}") from None
