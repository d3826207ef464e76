"""celeryconfig.py: messages carry ids, none is lost, and the times in it fit the times elsewhere."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from celery.app.defaults import DEFAULTS
from celery.beat import PersistentScheduler
from kombu.utils.imports import symbol_by_name
from pydantic import SecretStr

from worker import app, clock
from worker.bootstrap.export import longest_slice_s
from worker.bootstrap.infrastructure import STORE_TIMEOUT_S
from worker.broker import kombu_patch
from worker.current_copy.mongo import erasures
from worker.export import leases
from worker.export.context import SliceLimits
from worker.export.further_calls import FURTHER_CALLS_S
from worker.hubspot import transport
from worker.settings import WorkerSettings

ROOT = Path(__file__).resolve().parents[2]
REDIS = "redis://127.0.0.1:6379/0"
RABBITMQ = "amqp://127.0.0.1//"

TASKS = {name for name in vars(app).values() if isinstance(name, str) and name.startswith("hubspot_export.")}
QUEUES = {name for key, name in vars(app).items() if key.startswith("QUEUE_")}

# The invariants below are about these numbers.
CALL_S = transport.LONGEST_CALL_S
STORE_S = STORE_TIMEOUT_S
RENEWALS_A_LEASE = leases._RENEWALS_A_LEASE  # noqa: SLF001
LEASE_S: float = WorkerSettings.model_fields["lease_seconds"].default
LONGEST_SLICE_S: float = next(
    limit.le for limit in WorkerSettings.model_fields["slice_seconds"].metadata if hasattr(limit, "le")
)

Configuration: TypeAlias = dict[str, Any]

# What Celery makes of it: which tasks are registered, and where each of them goes.
RESULT = """
import json
from worker.app import app
app.loader.import_default_modules()
tasks = [name for name in app.tasks if not name.startswith("celery.")]
queues = {name: app.amqp.router.route({}, name)["queue"] for name in tasks}
print(json.dumps({name: [queue.name, queue.exchange.name, queue.routing_key] for name, queue in queues.items()}))
"""

# What closing a channel does to messages when the transport has lost its client, before and after the repair.
LOST = """
from types import SimpleNamespace
from kombu.transport import redis
from worker.broker import kombu_patch

channel = redis.Channel.__new__(redis.Channel)
channel.connection = SimpleNamespace(client=None)
qos = redis.QoS.__new__(redis.QoS)
qos.channel, qos._delivered = channel, {"tag": "message"}
try:
    qos.restore_unacked()
except AttributeError:
    print("broken")
kombu_patch.apply()
print("repaired", qos.restore_unacked())
"""


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], Configuration]:
    """Read celeryconfig.py with a broker of one's choice, and no `.env` about."""
    monkeypatch.chdir(tmp_path)

    def load_with(broker: str) -> Configuration:
        monkeypatch.setenv("CELERY_BROKER_URL", broker)
        names = runpy.run_path(str(ROOT / "celeryconfig.py"))
        return {name: value for name, value in names.items() if name.islower() and name[0] != "_" and name != "load"}

    return load_with


@pytest.fixture
def configuration(load: Callable[[str], Configuration]) -> Configuration:
    return load(REDIS)


@pytest.mark.parametrize("broker", [REDIS, RABBITMQ, "redis+sentinel://host/orders"])
def test_celery_knows_every_setting(broker: str, load: Callable[[str], Configuration]) -> None:
    assert load(broker).keys() <= DEFAULTS.keys()


def test_the_state_of_a_job_is_not_kept_by_celery(configuration: Configuration) -> None:
    assert configuration["result_backend"] is None
    assert configuration["task_ignore_result"] is True


def test_only_json_travels(configuration: Configuration) -> None:
    assert configuration["task_serializer"] == "json"
    assert configuration["accept_content"] == ["json"]


def test_a_killed_workers_message_comes_back(configuration: Configuration) -> None:
    assert configuration["task_acks_late"] is True
    assert configuration["task_reject_on_worker_lost"] is True


def test_a_busy_worker_hoards_nothing(configuration: Configuration) -> None:
    assert configuration["worker_prefetch_multiplier"] == 1


def test_a_task_that_raises_does_not_go_round_in_the_broker(configuration: Configuration) -> None:
    assert configuration["task_acks_on_failure"] is True
    assert configuration["task_acks_on_timeout"] is True


def test_a_worker_waits_for_its_broker_for_ever_and_a_publisher_does_not(configuration: Configuration) -> None:
    assert configuration["broker_connection_max_retries"] is None
    assert configuration["task_publish_retry"] is False
    assert configuration["broker_pool_acquire_timeout"] <= 5


def test_each_queue_has_an_exchange_and_a_routing_key_of_its_own(configuration: Configuration) -> None:
    queues = configuration["task_queues"]

    assert {queue.name for queue in queues} == QUEUES
    assert {queue.exchange.name for queue in queues} == QUEUES
    assert {queue.routing_key for queue in queues} == QUEUES
    assert {queue.exchange.type for queue in queues} == {"direct"}


def test_a_misspelled_queue_is_an_error(configuration: Configuration) -> None:
    assert configuration["task_create_missing_queues"] is False
    assert configuration["task_default_queue"] in QUEUES


def test_every_named_task_is_routed_to_a_queue_that_exists(configuration: Configuration) -> None:
    routes = configuration["task_routes"]

    assert routes.keys() == TASKS
    assert {route["queue"] for route in routes.values()} <= QUEUES


def test_every_named_task_is_registered_and_arrives_in_its_queue(configuration: Configuration, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", RESULT],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "CELERY_BROKER_URL": REDIS},
        capture_output=True,
        text=True,
        check=True,
    )

    expected = {name: [route["queue"]] * 3 for name, route in configuration["task_routes"].items()}
    assert json.loads(run.stdout) == expected


def test_a_message_is_not_delivered_again_while_its_slice_still_runs(configuration: Configuration) -> None:
    renewal_s = CALL_S + 2 * STORE_S  # the token is read, renewed and written back
    page_s = FURTHER_CALLS_S + CALL_S + 2 * STORE_S  # the page is fetched, stored and checkpointed
    margin_s = 60

    visible_again_s = configuration["broker_transport_options"]["visibility_timeout"]

    assert visible_again_s > LONGEST_SLICE_S + renewal_s + page_s + margin_s


def test_a_lease_outlives_a_renewal_that_the_database_does_not_answer() -> None:
    assert LEASE_S > LEASE_S / RENEWALS_A_LEASE + STORE_S


@pytest.mark.parametrize(("slice_s", "patience_s"), [(20, 100), (60, 300), (1, 1)])
def test_only_a_slice_that_is_stuck_loses_its_lease(slice_s: float, patience_s: float, tmp_path: Path) -> None:
    settings = WorkerSettings(
        _env_file=tmp_path / "none",
        hubspot_client_id="id",
        hubspot_client_secret=SecretStr("secret"),
        slice_seconds=slice_s,
        hubspot_timeout_seconds=patience_s,
    )
    call_s = transport.CONNECT_S + patience_s

    assert longest_slice_s(settings) > slice_s + 3 * call_s + 3 * STORE_S + FURTHER_CALLS_S


def test_an_erasure_is_open_for_longer_than_a_page_that_was_asked_for_before_it_takes_to_be_stored() -> None:
    assert erasures._CALLS_END_WITHIN_S > FURTHER_CALLS_S + CALL_S + 2 * STORE_S  # noqa: SLF001


def test_a_slice_sleeps_for_moments_only() -> None:
    assert SliceLimits().longest_sleep_s < 1 < SliceLimits().seconds


def test_lost_messages_are_looked_for_often(configuration: Configuration) -> None:
    options = configuration["broker_transport_options"]

    assert options["unacked_restore_interval"] * options["unacked_restore_throttle"] <= 10


def test_a_half_open_connection_to_redis_is_noticed(configuration: Configuration) -> None:
    options = configuration["broker_transport_options"]

    assert options["socket_timeout"] <= 5
    assert options["socket_connect_timeout"] <= 5
    assert options["health_check_interval"] <= 5
    assert options["socket_keepalive"] is True


def test_redis_may_be_shared_with_other_programs(configuration: Configuration) -> None:
    assert configuration["broker_transport_options"]["global_keyprefix"] == "hubspot-export:"


def test_rabbitmq_gets_none_of_the_options_of_redis(load: Callable[[str], Configuration]) -> None:
    assert load(RABBITMQ)["broker_transport_options"].keys() == {"confirm_publish", "read_timeout", "write_timeout"}


def test_rabbitmqs_queues_are_replicated(load: Callable[[str], Configuration]) -> None:
    queues = load(RABBITMQ)["task_queues"]

    assert [queue.queue_arguments for queue in queues] == [{"x-queue-type": "quorum"}] * len(queues)


def test_queues_on_redis_have_no_arguments(configuration: Configuration) -> None:
    assert not any(queue.queue_arguments for queue in configuration["task_queues"])


def test_beat_keeps_no_file(configuration: Configuration) -> None:
    scheduler = symbol_by_name(configuration["beat_scheduler"])

    assert not issubclass(scheduler, PersistentScheduler)


def test_periodic_tasks_that_nobody_took_in_time_are_dropped(configuration: Configuration) -> None:
    for entry in configuration["beat_schedule"].values():
        assert entry["task"] in TASKS
        assert entry["schedule"].run_every.total_seconds() <= entry["options"]["expiration"] <= 60


def test_beat_is_not_kept_waiting_by_a_queue_that_confirms_nothing(load: Callable[[str], Configuration]) -> None:
    configuration = load(RABBITMQ)

    for entry in configuration["beat_schedule"].values():
        assert 0 < entry["options"]["confirm_timeout"] < configuration["broker_transport_options"]["read_timeout"]


def test_no_message_of_beats_is_judged_by_two_clocks(configuration: Configuration) -> None:
    assert not any("expires" in entry["options"] for entry in configuration["beat_schedule"].values())


def test_beat_goes_on_when_its_clock_is_put_back(configuration: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    passed_s = 0.0
    monkeypatch.setattr(clock, "steady_s", lambda: 1000 + passed_s)
    for entry in configuration["beat_schedule"].values():
        every = entry["schedule"]
        last_run_at = every.now()
        assert not every.is_due(last_run_at).is_due
        passed_s += 2
        assert every.is_due(last_run_at).is_due


def test_kombu_still_has_the_fault_that_is_repaired() -> None:
    """When this fails, decision 0003 says what to do."""
    run = subprocess.run(
        [sys.executable, "-c", LOST], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )

    assert version("kombu") in kombu_patch._BROKEN  # noqa: SLF001 - the versions that are repaired
    assert run.stdout.splitlines()[0] == "broken"
    assert run.stdout.splitlines()[-1] == "repaired []"


# What Celery connects to: it reads CELERY_BROKER_URL by itself as well.
CONNECTIONS = """
from worker.app import app
for connection in (app.connection_for_read(), app.connection_for_write()):
    print(connection.alt, connection.ssl)
"""


def test_celery_connects_to_what_the_url_says_and_not_to_the_url_as_it_is(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", CONNECTIONS],
        env={"PYTHONPATH": str(ROOT), "CELERY_BROKER_URL": "redis+sentinel://one,two:7/orders/1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.splitlines() == ["['sentinel://one:26379/1', 'sentinel://two:7/1'] False"] * 2


def test_certificates_of_a_broker_are_checked(load: Callable[[str], Configuration]) -> None:
    assert load("rediss://host")["broker_use_ssl"]["ssl_cert_reqs"] == "required"
    assert load("amqps://host")["broker_use_ssl"]["check_hostname"] is True
    assert load(REDIS)["broker_use_ssl"] is False


def test_a_frozen_node_of_rabbitmq_is_noticed_within_the_minute_that_is_promised(
    load: Callable[[str], Configuration],
) -> None:
    configuration = load(RABBITMQ)
    checks_a_heartbeat = 2.0  # Celery's broker_heartbeat_checkrate
    unnoticed_s = configuration["broker_heartbeat"] * (2 + 1 / checks_a_heartbeat)
    assert unnoticed_s + configuration["broker_connection_timeout"] < 45
    assert configuration["broker_transport_options"]["read_timeout"] <= 15
