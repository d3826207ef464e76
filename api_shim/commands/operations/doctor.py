"""`hubspot-export doctor`: check every setting and every dependency, and report what is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import click

from api_shim.commands.checks import broker as broker_checks
from api_shim.commands.checks import mongo, redis
from api_shim.commands.checks.findings import Finding, Verdict, completed
from api_shim.commands.checks.open_files import check_open_files
from api_shim.commands.checks.settings import check_settings
from api_shim.commands.checks.shim import check_shim
from api_shim.commands.options import URL_VARIABLE, checked_url
from api_shim.commands.outside import Outside
from worker.app import app
from worker.settings import BrokerSettings, ShimSettings, StoreSettings, WorkerSettings, read

_PROCESSES: dict[str, type[WorkerSettings | ShimSettings]] = {"worker": WorkerSettings, "shim": ShimSettings}
_COLOURS = {Verdict.OK: "green", Verdict.WRONG: "red", Verdict.SKIPPED: "yellow"}


@click.command("doctor")
@click.option("--url", envvar=URL_VARIABLE, show_envvar=True, callback=checked_url, help="Check this shim as well.")
@click.option(
    "--process",
    "processes",
    type=click.Choice(list(_PROCESSES)),
    multiple=True,
    help="The process whose settings to check; may be repeated.  [default: both]",
)
@click.pass_context
def command(ctx: click.Context, /, *, url: str | None, processes: tuple[str, ...]) -> None:
    """Check every setting and every dependency.

    One line a check: ok, wrong or skipped, the subject, and what to do. No secret is shown, and nothing is changed.
    Exit status 0 if nothing is wrong, otherwise 1.
    """
    found_wrong = False
    for finding in _examine(processes or tuple(_PROCESSES), url, ctx.ensure_object(Outside)):
        found_wrong |= finding.verdict is Verdict.WRONG
        click.echo(_line(finding))
    ctx.exit(1 if found_wrong else 0)


def _examine(processes: Sequence[str], url: str | None, outside: Outside) -> Iterator[Finding]:
    for process in processes:
        yield from check_settings(_PROCESSES[process], process=process)
    if "shim" in processes:
        shim, _ = read(ShimSettings)
        yield check_open_files(shim.max_connections if shim else None)
    (store, _), (broker, _) = read(StoreSettings), read(BrokerSettings)
    yield from _group(mongo.SUBJECTS, mongo.check_mongo(store, clock=lambda: datetime.now(UTC)) if store else None)
    yield from _group(redis.SUBJECTS, redis.check_redis(store) if store else None)
    checks = broker_checks.check_broker(app, store=store, pause=outside.pause) if broker else None
    yield from _group(broker_checks.SUBJECTS, checks)
    yield check_shim(url, transport=outside.transport)


def _group(subjects: Sequence[str], findings: Iterator[Finding] | None) -> Iterator[Finding]:
    """Report on every subject of a group, also if its check could not run."""
    reason = "its settings are wrong" if findings is None else f"{subjects[0]} could not be asked"
    return completed(findings or (), subjects=subjects, reason=reason)


def _line(finding: Finding) -> str:
    verdict = click.style(f"{finding.verdict:<7}", fg=_COLOURS[finding.verdict], bold=True)
    return f"{verdict}  {finding.subject:<22}  {finding.text}"
