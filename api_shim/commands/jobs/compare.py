"""`hubspot-export compare`: read a type by both of HubSpot's APIs, and show how their records differ."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import IO, Any

import click
import msgspec

from api_shim.commands.api import ExportApi
from api_shim.commands.differences import ABSENT, Comparison, FieldDifference, compare
from api_shim.commands.downloading import write_download
from api_shim.commands.following import require_success, wait_for_end
from api_shim.commands.options import with_api
from worker.records.crm_api import CrmApi
from worker.records.registry import OBJECT_TYPES
from worker.records.types import ExportType

_FEW = 1_000
_SHOWN = 40  # characters of a value
_IDS_SHOWN = 5
_COLUMNS = ("field", "records", "e.g.", "legacy", "dated")


@click.command("compare")
@click.argument("export_type", metavar="TYPE")
@click.option("--limit", type=click.IntRange(min=0), default=_FEW, show_default=True, help="Records; 0: all of them.")
@click.option("--property", "properties", multiple=True, metavar="NAME", help="A property to read; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Write the differences as JSON.")
@with_api
def command(api: ExportApi, /, *, export_type: str, limit: int, properties: tuple[str, ...], as_json: bool) -> None:
    """Export TYPE by HubSpot's legacy API and by its dated API, and show each field that differs.

    Two jobs are started, waited for, compared record by record, and deleted. Exit status 0 if all records are equal,
    otherwise 1. What HubSpot no longer gives is in docs/reference/connecting.md.
    """
    body: dict[str, object] = {"limit": limit or None, "properties": list(properties) or None}
    with ExitStack() as stack:
        files = {each: stack.enter_context(tempfile.TemporaryFile()) for each in CrmApi}
        for each, file in files.items():
            _export(api, ExportType(export_type), {**body, "api": each.value}, file)
        id_path = OBJECT_TYPES[export_type].id_path
        legacy, dated = (_records(files[each], id_path) for each in (CrmApi.LEGACY, CrmApi.DATED))
        try:
            found = compare(legacy, dated, are_whole=not limit)
        except ValueError as error:
            raise click.ClickException(f"HubSpot's list is not in the order of ids: {error}") from None
    click.echo(_json(found) if as_json else _table(export_type, found))
    if not found.is_equal:
        raise click.exceptions.Exit(1)


def _export(api: ExportApi, export_type: ExportType, body: Mapping[str, object], file: IO[bytes]) -> None:
    job = api.start(export_type, {name: value for name, value in body.items() if value is not None})
    ended = wait_for_end(api, job.job_id)
    require_success(ended)
    write_download(api, ended.job_id, file)
    api.delete(ended.job_id)


def _records(file: IO[bytes], id_path: tuple[str, ...]) -> Iterator[tuple[int, Any]]:
    """Yield records with their ids; what has no id cannot be found in the other list."""
    file.seek(0)
    for line in file:
        record = found = msgspec.json.decode(line)
        for name in id_path:
            found = found.get(name) if isinstance(found, dict) else None
        if found is not None:
            yield int(found), record


def _table(export_type: str, found: Comparison) -> str:
    only = [_only(found.only_one, "legacy"), _only(found.only_other, "dated")]
    lines = [f"{found.both:,} {export_type} in both APIs, {found.equal:,} of them equal", *filter(None, only)]
    if not found.fields:
        return "\n".join(lines)
    rows = [_COLUMNS, *(_row(each) for _, each in sorted(found.fields.items()))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines += [""] + [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join(lines)


def _only(ids: list[int], name: str) -> str:
    if not ids:
        return ""
    shown = ", ".join(map(str, ids[:_IDS_SHOWN])) + (", ..." if len(ids) > _IDS_SHOWN else "")
    return f"{len(ids):,} only in the {name} API: {shown}"


def _row(each: FieldDifference) -> tuple[str, ...]:
    return each.path, f"{each.records:,}", str(each.example_id), _shown(each.one), _shown(each.other)


def _shown(value: object) -> str:
    text = "-" if value is ABSENT else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _json(found: Comparison) -> str:
    fields = [
        {"field": each.path, "records": each.records, "example_id": each.example_id}
        | {name: value for name, value in (("legacy", each.one), ("dated", each.other)) if value is not ABSENT}
        for _, each in sorted(found.fields.items())
    ]
    return json.dumps(
        {
            "both": found.both,
            "equal": found.equal,
            "only_legacy": found.only_one,
            "only_dated": found.only_other,
            "fields": fields,
        }
    )
