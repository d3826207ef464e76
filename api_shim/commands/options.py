"""Options that commands share. The JWT is never an argument, since process lists would show it."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Concatenate, ParamSpec
from urllib.parse import urlsplit

import click

from api_shim.commands.api import ExportApi
from api_shim.commands.outside import Outside

URL_VARIABLE = "HUBSPOT_EXPORT_URL"
TOKEN_VARIABLE = "HUBSPOT_EXPORT_TOKEN"  # noqa: S105 - a variable's name

_DEFAULT_URL = "http://127.0.0.1:8000"
_LONGEST_ID = 256  # as the claims of a JWT
_JWT = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")

_TYPE = re.compile(r"[A-Za-z0-9_-]{1,250}")

P = ParamSpec("P")


wait_option = click.option(
    "--wait",
    "longest_s",
    type=click.IntRange(min=0),
    metavar="SECONDS",
    help="Wait for the job to end, at most this long; exit status 1 unless it succeeds.",
)


_FORCE = f"{__name__}.force"


def _may_replace(ctx: click.Context, _option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's call
    ctx.meta[_FORCE] = value


def _unused_or_released(ctx: click.Context, _option: click.Parameter, path: Path | None) -> Path | None:
    """Refuse an existing file, unless --force or the user's answer allows to replace it; a device is not replaced."""
    if path is None or not path.is_file() or ctx.meta[_FORCE]:
        return path
    if ctx.ensure_object(Outside).is_interactive() and click.confirm(f"{path} exists. Replace it?", err=True):
        return path
    raise click.BadParameter(f"{path} exists: name another file, or replace it with --force")


def out_option(
    text: str = "Write to FILE instead of stdout; it appears when it is complete, for its owner only (mode 0600).",
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add `--out FILE`, and `--force` to replace an existing file."""
    out = click.option(
        "--out",
        type=click.Path(dir_okay=False, path_type=Path),
        callback=_unused_or_released,
        metavar="FILE",
        help=text,
    )
    force = click.option(
        "--force",
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_may_replace,
        help="Replace the FILE of --out if it exists.",
    )

    def add(command: Callable[..., None]) -> Callable[..., None]:
        return out(force(command))

    return add


def _types(_ctx: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> list[str] | None:
    """Split names at commas; the API checks them."""
    return [name.strip() for value in values for name in value.split(",")] or None


types_option = click.option(
    "--types",
    "--type",
    "types",
    multiple=True,
    callback=_types,
    metavar="TYPE,…",
    help="The types, separated by commas, or one at a time; * for all that the API has.  [default: the usual four]",
)


def _properties(_ctx: click.Context, _option: click.Parameter, pairs: tuple[str, ...]) -> dict[str, list[str]] | None:
    """Read TYPE=NAME pairs; the names of a repeated type become one list."""
    properties: dict[str, list[str]] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} is not TYPE=NAME")
        properties.setdefault(name, []).append(value)
    return properties or None


properties_option = click.option(
    "--property",
    "properties",
    multiple=True,
    callback=_properties,
    metavar="TYPE=NAME",
    help="A property to ask HubSpot for, * for all of a type; may be repeated.",
)


def _webhook(_ctx: click.Context, _option: click.Parameter, value: str | None) -> dict[str, str] | None:
    return {"url": value} if value is not None else None


webhook_option = click.option(
    "--webhook", callback=_webhook, metavar="URL", help="The URL for a signed POST when the job has ended."
)


mode_option = click.option(
    "--mode",
    type=click.Choice(["full", "incremental"]),
    help="Read all records, or those that HubSpot's feeds report as changed since the last sync.  [default: full]",
)


class _VariableOnly(click.Option):
    """An option that only an environment variable can set."""

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:  # noqa: ANN401 - click's own, private type
        """Add nothing."""


def checked_url(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Refuse anything but the root of an HTTP service; credentials in the URL would replace the JWT."""
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        sound = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        sound, parts = False, urlsplit("")
    if not sound or parts.username is not None or parts.query or parts.fragment:
        raise click.BadParameter("must be a URL such as http://host:8000, without credentials and query")
    return value.rstrip("/")


def checked_id(_ctx: click.Context, _argument: click.Parameter, value: str) -> str:
    if not (0 < len(value) <= _LONGEST_ID and value.isprintable()):
        raise click.BadParameter(f"must be 1 to {_LONGEST_ID} printable characters")
    return value


def checked_type(_ctx: click.Context, _argument: click.Parameter, value: str) -> str:
    """Refuse what no type is called, as it would be another path; the API knows which types there are."""
    if not _TYPE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is no type: contacts, tickets, 2-123, p_cars or the like")
    return value


def with_api(function: Callable[Concatenate[ExportApi, P], None]) -> Callable[..., None]:
    """Pass the API to a command as its first argument, and add the options that locate it."""

    @click.option(
        "--url",
        default=_DEFAULT_URL,
        show_default=True,
        envvar=URL_VARIABLE,
        show_envvar=True,
        callback=checked_url,
        help="The root of the API.",
    )
    @click.option(
        "--token-file",
        type=click.File("rb"),
        help=f"File that holds the JWT (- for stdin). Otherwise it is read from {TOKEN_VARIABLE} or asked for.",
    )
    @click.option("--jwt", cls=_VariableOnly, envvar=TOKEN_VARIABLE, hidden=True)
    @click.pass_context
    @functools.wraps(function)
    def command(
        ctx: click.Context,
        /,
        url: str,
        token_file: IO[bytes] | None,
        jwt: str | None,
        *rest: P.args,
        **options: P.kwargs,
    ) -> None:
        outside = ctx.ensure_object(Outside)
        token = _checked_jwt(token_file.read() if token_file else os.fsencode(jwt or _asked(outside)))
        with ExportApi(url, token=token, outside=outside) as api:
            function(api, *rest, **options)

    return command


def _asked(outside: Outside) -> str:
    if not outside.is_interactive():
        raise click.UsageError(f"There is no JWT: set {TOKEN_VARIABLE}, or name a file with --token-file")
    answer: str = click.prompt("JWT", hide_input=True, err=True)
    return answer


def _checked_jwt(text: bytes) -> str:
    token = text.strip()
    if not _JWT.fullmatch(token):
        raise click.UsageError("What was given as the JWT is none: three words of letters and digits, joined by dots")
    return token.decode()
