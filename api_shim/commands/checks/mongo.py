"""Checks that MongoDB answers, keeps what it acknowledges, agrees on the time, and has the indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from api_shim.commands.checks import gone_lists, token_endpoints, tokens
from api_shim.commands.checks.findings import Finding, ok, skipped, verdict_on, wrong
from api_shim.commands.checks.indexes import missing_indexes
from api_shim.commands.database import DatabaseError, open_database, say_hello
from worker.mongo.database import Document, MongoDatabase
from worker.settings import StoreSettings

_INDEXES = "mongodb indexes"
_INSIDE = (_INDEXES, tokens.SUBJECT, gone_lists.SUBJECT, token_endpoints.SUBJECT)
SUBJECTS = ("mongodb", "mongodb replica set", "mongodb write concern", "clock", *_INSIDE)

_CLOCKS_DIFFER_S = 5.0  # a tenth of the minute before its expiry at which a token is renewed


def check_mongo(settings: StoreSettings, *, clock: Callable[[], datetime]) -> Iterator[Finding]:
    """Stop where MongoDB does not answer."""
    try:
        with open_database(settings) as database:
            asked_at = clock()
            hello = say_hello(database)
            answered_at = clock()
            yield ok("mongodb", f"answers, version {database.client.server_info()['version']}")
            yield judge_replica_set(hello)
            yield judge_write_concern(database.client.write_concern.document, members=_members(hello))
            yield judge_clock(hello["localTime"], asked_at=asked_at, answered_at=answered_at)
            yield from _look_inside(database, settings, has_primary=bool(hello.get("primary")))
    except DatabaseError as error:
        yield wrong("mongodb", error.message)


def judge_replica_set(hello: Document) -> Finding:
    """Require a replica set with a primary: transactions, change streams and majority writes need one."""
    subject = "mongodb replica set"
    if "setName" not in hello:
        return wrong(subject, "this is a single server; start it with --replSet and run rs.initiate()")
    members, has_primary = _members(hello), bool(hello.get("primary"))
    return verdict_on(
        subject,
        f"{hello['setName']}, members: {members}, {'with' if has_primary else 'without'} a primary",
        sound=has_primary,
        advice="a majority of its members has to run",
    )


def judge_write_concern(concern: Document, *, members: int) -> Finding:
    """Require writes that survive a killed server: acknowledged by the majority, and journaled."""
    w, journal = concern.get("w"), concern.get("j")
    by_majority = w == "majority" or (isinstance(w, int) and w > members // 2)
    return verdict_on(
        "mongodb write concern",
        f"w={w}, journal={str(bool(journal)).lower()}",
        sound=by_majority and bool(journal),
        advice="acknowledged writes can be lost: take w and journal out of MONGODB_URI",
    )


def judge_clock(theirs: datetime, *, asked_at: datetime, answered_at: datetime) -> Finding:
    """Compare MongoDB's clock with the middle of the interval in which it was asked."""
    ours = asked_at + (answered_at - asked_at) / 2
    ahead_s = (theirs - ours).total_seconds()
    return verdict_on(
        "clock",
        f"MongoDB's clock is {abs(ahead_s):.1f} s {'ahead of' if ahead_s >= 0 else 'behind'} this machine's",
        sound=abs(ahead_s) <= _CLOCKS_DIFFER_S,
        advice="set both by NTP: JWTs are checked by the shim machine's clock, all else goes by MongoDB's",
    )


def _look_inside(database: MongoDatabase, settings: StoreSettings, *, has_primary: bool) -> Iterator[Finding]:
    if has_primary:
        yield _check_indexes(database)
        yield tokens.check_tokens(database, settings)
        yield gone_lists.check_gone_lists(database)
        yield token_endpoints.check_token_endpoint(database)
    else:
        yield from (skipped(subject, "there is no primary to ask") for subject in _INSIDE)


def _check_indexes(database: MongoDatabase) -> Finding:
    missing = missing_indexes(database)
    if missing:
        return wrong(_INDEXES, f"missing: {', '.join(missing)}; the shim and the worker create them when they start")
    return ok(_INDEXES, "all there")


def _members(hello: Document) -> int:
    return len(hello.get("hosts", ())) or 1
