"""`hubspot-export types`, `properties`, `pipelines` and `owners`: what HubSpot defines for the account."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.options import out_option, with_api
from api_shim.commands.output import open_output

_type = click.argument("object_type", metavar="TYPE")


@click.command("types")
@out_option()
@with_api
def types(api: ExportApi, /, *, out: Path | None) -> None:
    """List all types of objects, custom objects among them, one JSON object a line."""
    found = api.types()
    _write(found.lines, out)
    if found.refused is not None:
        click.echo(f"HubSpot does not list the account's custom objects: {found.refused}", err=True)


@click.command("properties")
@_type
@click.option("--names", "only_names", is_flag=True, help="Only the names, one a line.")
@out_option()
@with_api
def properties(api: ExportApi, /, *, object_type: str, only_names: bool, out: Path | None) -> None:
    """List the properties that HubSpot defines for a TYPE, one JSON object a line.

    TYPE is a name as contacts or p123_cars, HubSpot's number of it as 0-1, or p_ with the name of a custom object.
    """
    found = api.definitions("properties", object_type)
    _write(found.names() if only_names else found.lines, out)


@click.command("pipelines")
@_type
@out_option()
@with_api
def pipelines(api: ExportApi, /, *, object_type: str, out: Path | None) -> None:
    """List the pipelines of a TYPE with their stages, one JSON object a line."""
    _write(api.definitions("pipelines", object_type).lines, out)


@click.command("owners")
@out_option()
@with_api
def owners(api: ExportApi, /, *, out: Path | None) -> None:
    """List the users whom records can belong to, one JSON object a line."""
    _write(api.definitions("owners").lines, out)


def _write(lines: Iterable[bytes], out: Path | None) -> None:
    with open_output(out) as sink:
        sink.writelines(line + b"\n" for line in lines)
