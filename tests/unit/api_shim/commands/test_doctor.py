"""The doctor's judgement on what it is told; the servers themselves are asked in the acceptance tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import mongomock
import pytest
from pydantic import SecretStr

from api_shim.commands.checks import open_files
from api_shim.commands.checks.broker import judge_last_sweep, judge_workers, sweeps_in
from api_shim.commands.checks.broker_nodes import judge_nodes
from api_shim.commands.checks.findings import Finding, Verdict, completed, ok
from api_shim.commands.checks.gone_lists import report_on
from api_shim.commands.checks.indexes import missing_indexes
from api_shim.commands.checks.mongo import judge_clock, judge_replica_set, judge_write_concern
from api_shim.commands.checks.open_files import check_open_files
from api_shim.commands.checks.redis import judge_redis
from api_shim.commands.checks.settings import check_settings
from api_shim.commands.checks.shim import check_shim
from api_shim.commands.checks.token_endpoints import check_token_endpoint, judge_token_endpoint
from api_shim.commands.checks.tokens import check_tokens, judge_tokens
from worker.accounts.encryption import TokenEncryption
from worker.accounts.gone_list import GoneList
from worker.accounts.mongo.tokens import MongoTokenStore, TokenSurvey
from worker.accounts.token import RenewedToken
from worker.accounts.token_endpoint import GoneEndpoint
from worker.indexes import ensure_indexes
from worker.mongo.database import MongoDatabase
from worker.records.types import DEALS
from worker.settings import BrokerSettings, ShimSettings, StoreSettings, WorkerSettings

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
SET = {"setName": "rs0", "primary": "a:1", "hosts": ["a:1", "b:1", "c:1"]}
REDIS = {"redis_version": "7.2.4", "maxmemory_policy": "noeviction", "aof_enabled": 1}
ALL_QUEUES = [{"name": "interactive"}, {"name": "bulk"}, {"name": "upkeep"}]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No setting of ours from the outside, and an empty folder to look for `.env` in."""
    for name in {**WorkerSettings.model_fields, **ShimSettings.model_fields}:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return monkeypatch


def test_each_complaint_about_settings_is_a_line_without_the_value(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare.setenv("MONGODB_URI", "mangodb://user:secret@host")
    bare.setenv("HUBSPOT_API", "v3")
    found = list(check_settings(WorkerSettings, process="worker"))
    assert [finding.text.partition(":")[0] for finding in found] == [
        "MONGODB_URI",
        "HUBSPOT_CLIENT_ID",
        "HUBSPOT_CLIENT_SECRET",
        "HUBSPOT_API",
    ]
    assert {(finding.verdict, finding.subject) for finding in found} == {(Verdict.WRONG, "worker settings")}
    assert "secret@" not in str(found)
    assert capsys.readouterr().err == ""


def test_a_complaint_about_several_settings_stays_one(bare: pytest.MonkeyPatch) -> None:
    found = list(check_settings(ShimSettings, process="shim"))
    assert [finding.text for finding in found] == ["JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL: exactly one is required"]


@pytest.mark.parametrize(
    ("files", "wanted", "verdict", "says"),
    [
        (65_536, None, Verdict.OK, "65536, enough for 63360"),
        (1300, None, Verdict.OK, "1300, enough for 1010"),
        (256, None, Verdict.WRONG, "256, enough for 96 connections of a shim started here; raise it to 718"),
        (1300, 5000, Verdict.WRONG, "for 5000 connections: ulimits, LimitNOFILE, ulimit -n"),
        (1024, None, Verdict.OK, "enough for 768"),
    ],
)
def test_too_few_files_for_the_connections_are_reported(
    monkeypatch: pytest.MonkeyPatch, files: int, wanted: int | None, verdict: Verdict, says: str
) -> None:
    monkeypatch.setattr(open_files, "most_files", lambda: files)

    found = check_open_files(wanted)

    assert (found.verdict, found.subject) == (verdict, "open files")
    assert says in found.text


def test_settings_that_load_are_well(bare: pytest.MonkeyPatch) -> None:
    assert [finding.verdict for finding in check_settings(BrokerSettings, process="beat")] == [Verdict.OK]


@pytest.mark.parametrize(
    ("hello", "verdict", "words"),
    [
        (SET, Verdict.OK, "rs0, members: 3, with a primary"),
        ({**SET, "primary": None}, Verdict.WRONG, "without a primary"),
        ({"isWritablePrimary": True}, Verdict.WRONG, "--replSet"),
    ],
)
def test_a_replica_set_with_a_primary_is_wanted(hello: dict[str, Any], verdict: Verdict, words: str) -> None:
    found = judge_replica_set(hello)
    assert found.verdict is verdict
    assert words in found.text


@pytest.mark.parametrize(
    ("concern", "verdict"),
    [
        ({"w": "majority", "j": True}, Verdict.OK),
        ({"w": 2, "j": True}, Verdict.OK),
        ({"w": 1, "j": True}, Verdict.WRONG),
        ({"w": "majority", "j": False}, Verdict.WRONG),
        ({"w": 0}, Verdict.WRONG),
    ],
)
def test_writes_have_to_survive_a_killed_server(concern: dict[str, Any], verdict: Verdict) -> None:
    assert judge_write_concern(concern, members=3).verdict is verdict


@pytest.mark.parametrize(
    ("ahead_s", "verdict", "words"),
    [(0.5, Verdict.OK, "0.0 s"), (6, Verdict.WRONG, "5.5 s ahead of"), (-9, Verdict.WRONG, "9.5 s behind")],
)
def test_clocks_have_to_agree(ahead_s: float, verdict: Verdict, words: str) -> None:
    found = judge_clock(NOW + timedelta(seconds=ahead_s), asked_at=NOW, answered_at=NOW + timedelta(seconds=1))
    assert found.verdict is verdict
    assert words in found.text


@pytest.mark.parametrize(
    ("keys", "unreadable", "verdict", "words"),
    [
        (0, 0, Verdict.OK, "not encrypted: TOKEN_ENCRYPTION_KEYS is not set; looked at 5, in plain text 2"),
        (2, 0, Verdict.OK, "encrypted when written, keys: 2; looked at 5"),
        (0, 3, Verdict.WRONG, "unreadable 3; put the key"),
        (1, 1, Verdict.WRONG, "unreadable 1; put the key"),
    ],
)
def test_every_stored_token_has_to_be_readable(keys: int, unreadable: int, verdict: Verdict, words: str) -> None:
    found = judge_tokens(TokenSurvey(looked_at=5, in_plain_text=2, unreadable=unreadable), keys=keys)
    assert found.verdict is verdict
    assert words in found.text


def gone(number: int) -> GoneList:
    return GoneList(
        account_id=f"a{number}",
        export_type=DEALS,
        since=NOW,
        last_seen_at=NOW,
        remembered_at=NOW,
        status=404,
        message="resource not found",
    )


def test_lists_that_are_gone_are_named_and_not_all_of_many() -> None:
    assert report_on([]) == ok("hubspot lists", "no legacy list is remembered as gone")
    few, many = report_on([gone(1), gone(2)]), report_on([gone(number) for number in range(6)])
    assert few.verdict is many.verdict is Verdict.OK
    assert "gone: deals of account a1 since 2026-11-23, deals of account a2 since 2026-11-23; exports" in few.text
    assert "connection --recheck" in few.text
    assert "account a4 since 2026-11-23, and more; exports" in many.text
    assert "a5" not in many.text


def test_stored_tokens_are_read_with_the_keys_that_are_set(bare: pytest.MonkeyPatch) -> None:
    key = "k" * 43 + "="
    granted = RenewedToken(
        access_token=SecretStr("access"), refresh_token=SecretStr("refresh"), expires_in_s=1800, generated_at=NOW
    )
    database: Any = mongomock.MongoClient()["test"]
    MongoTokenStore(database, TokenEncryption([SecretStr(key)])).connect("a1", "u1", granted)
    without = check_tokens(database, StoreSettings())
    bare.setenv("TOKEN_ENCRYPTION_KEYS", key)
    assert [without.verdict, check_tokens(database, StoreSettings()).verdict] == [Verdict.WRONG, Verdict.OK]


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, []),
        ({"redis_version": "6.2.0"}, []),
        ({"redis_version": "10.0.1"}, []),
        ({"redis_version": "6.0.16"}, ["redis"]),
        ({"maxmemory_policy": "allkeys-lru"}, ["redis memory"]),
        ({"aof_enabled": 0}, ["redis persistence"]),
    ],
)
def test_redis_has_to_be_new_enough_and_keep_what_it_has(change: dict[str, Any], wrong: list[str]) -> None:
    found = judge_redis({**REDIS, **change}, subject="redis")
    assert [finding.subject for finding in found if finding.verdict is Verdict.WRONG] == wrong


@pytest.mark.parametrize(
    ("nodes", "verdict", "words"),
    [
        ({"a:1": True, "b:1": True}, Verdict.OK, "2 of 2 answer"),
        ({"a:1": True, "b:1": None}, Verdict.WRONG, "1 of 2 answer; away: b:1"),
        ({"a:1": None, "b:1": None}, Verdict.WRONG, "0 of 2 answer"),
        ({"a:1": True, "b:1": False}, Verdict.WRONG, "not in one cluster with the first: b:1"),
    ],
)
def test_several_nodes_of_a_broker_have_to_be_one_cluster(
    nodes: dict[str, bool | None], verdict: Verdict, words: str
) -> None:
    found = judge_nodes(nodes)
    assert (found.verdict, words in found.text) == (verdict, True), found.text


@pytest.mark.parametrize(
    ("queues", "verdicts", "words"),
    [
        ({}, [Verdict.WRONG, Verdict.SKIPPED], "none answered"),
        ({"a": ALL_QUEUES}, [Verdict.OK, Verdict.OK], "1 answered: a"),
        ({"a": ALL_QUEUES[:1], "b": ALL_QUEUES[1:]}, [Verdict.OK, Verdict.OK], "2 answered: a, b"),
        ({"a": ALL_QUEUES[:1]}, [Verdict.OK, Verdict.WRONG], "without a worker: bulk, upkeep"),
    ],
)
def test_every_queue_needs_a_worker(queues: dict[str, Any], verdicts: list[Verdict], words: str) -> None:
    found = list(judge_workers(queues))
    assert [finding.verdict for finding in found] == verdicts
    assert any(words in finding.text for finding in found)


def test_sweeps_are_counted_over_all_workers() -> None:
    stats = {"a": {"total": {"hubspot_export.sweep": 3, "other": 9}}, "b": {"total": {}}, "c": {}}
    assert sweeps_in(stats) == 3


@pytest.mark.parametrize(
    ("ended_s", "words"),
    [(0.4, "ended 0 s ago"), (70, "ended 70 s ago"), (-12, "at work"), (75.1, None), (-3600, None), (None, None)],
)
def test_a_sweep_of_the_last_minute_shows_that_beat_runs(ended_s: float | None, words: str | None) -> None:
    found = judge_last_sweep(ended_s)
    assert (found and (found.verdict, words is not None and words in found.text)) == (words and (Verdict.OK, True))


def test_missing_indexes_are_named_as_the_stores_want_them() -> None:
    database: Any = mongomock.MongoClient()["test"]
    ensure_indexes(database)
    assert missing_indexes(database) == []
    database["integrations.hubspot.key"].drop_indexes()
    database["integrations.hubspot.key"].create_index([("account_id", 1), ("owner", 1)])  # not unique
    assert missing_indexes(database) == ["integrations.hubspot.key (account_id, owner)"]
    database.client.drop_database("test")
    assert "integrations.hubspot.jobs (expires_at)" in missing_indexes(database)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(200, json={"success": True}), ok("shim", "http://shim.test is ready")),
        (
            httpx.Response(503, json={"message": "The database is not available"}),
            Finding(Verdict.WRONG, "shim", "http://shim.test is not ready: 503 The database is not available"),
        ),
        (httpx.Response(404, text="x"), Finding(Verdict.WRONG, "shim", "http://shim.test is not ready: 404")),
    ],
)
def test_the_shim_speaks_for_itself(answer: httpx.Response, expected: Finding) -> None:
    assert check_shim("http://shim.test", transport=httpx.MockTransport(lambda _: answer)) == expected


def test_without_a_url_the_shim_is_not_asked() -> None:
    assert check_shim(None, transport=None).verdict is Verdict.SKIPPED


def test_what_was_not_reached_is_said_to_be_skipped() -> None:
    found = completed([ok("a", "well")], subjects=["a", "b"], reason="a could not be asked")
    assert list(found) == [ok("a", "well"), Finding(Verdict.SKIPPED, "b", "a could not be asked")]


V1 = "https://api.hubapi.com/oauth/v1/token"


def gone_endpoint(*, moved_at: datetime | None) -> GoneEndpoint:
    return GoneEndpoint(url=V1, status=404, reason="no such thing", first_at=NOW, last_at=NOW, moved_at=moved_at)


def test_a_token_endpoint_that_is_gone_is_to_be_set_anew() -> None:
    assert judge_token_endpoint([]).verdict is Verdict.OK
    assert judge_token_endpoint([gone_endpoint(moved_at=None)]).verdict is Verdict.OK

    found = judge_token_endpoint([gone_endpoint(moved_at=NOW)])

    assert found.verdict is Verdict.WRONG
    for word in (V1, "2026-11-23T15:00:00Z", "404", "no such thing", "HUBSPOT_TOKEN_ENDPOINT", "--recheck"):
        assert word in found.text


def test_of_an_endpoint_that_is_no_longer_set_nothing_is_wrong(bare: pytest.MonkeyPatch) -> None:
    database: MongoDatabase = mongomock.MongoClient(tz_aware=True).db
    document = {"_id": V1, "status": 404, "reason": "", "first_at": NOW, "last_at": NOW, "moved_at": NOW}
    database["integrations.hubspot.token_endpoints"].insert_one(document)
    found = [check_token_endpoint(database).verdict]

    for name in ("HUBSPOT_CLIENT_ID", "HUBSPOT_CLIENT_SECRET"):
        bare.setenv(name, "x")
    found.append(check_token_endpoint(database).verdict)
    bare.setenv("HUBSPOT_TOKEN_ENDPOINT", f"{V1}?key=1")
    found.append(check_token_endpoint(database).verdict)

    assert found == [Verdict.WRONG, Verdict.OK, Verdict.WRONG]
