"""What a worker reports when it is asked through the broker, and that it reports nothing unasked."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

from celery.worker.consumer.connection import Connection as ConnectionStep
from celery.worker.consumer.heart import Heart
from kombu import Connection

from worker.broker import worker_features
from worker.broker.redis_client import sentinel_arguments
from worker.broker.urls import parse_broker_url


def test_statistics_hold_no_secret_and_can_be_sent() -> None:
    broker = parse_broker_url("redis+sentinel://:pass-word@one,two/orders/2?sentinel_password=pass-word")
    assert broker.redis is not None
    options = {"master_name": "orders", "sentinel_kwargs": sentinel_arguments(broker.redis)}
    worker_features.leave_out_what_is_not_used()
    step = ConnectionStep.__new__(ConnectionStep)
    with Connection(broker.url, transport_options=options) as connection:
        told = cast("Any", step).info(SimpleNamespace(connection=connection))

    assert "pass-word" not in json.dumps(told)
    assert (told["broker"]["transport"], told["broker"]["hostname"]) == ("sentinel", "one")
    assert cast("Any", step).info(SimpleNamespace(connection=None))["broker"]["hostname"] is None


def test_no_event_is_published_from_the_thread_that_reads_messages() -> None:
    worker_features.leave_out_what_is_not_used()
    consumer = SimpleNamespace(steps=[])
    assert cast("Any", Heart)(consumer).include_if(consumer) is False
