"""Unacknowledged messages in a real Redis, restored by processes whose clocks differ by an hour."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.configuration import python_environment
from sandbox.shifted_clock import ShiftedClocks, can_shift_clocks
from tests.patience import PATIENCE_S

HOUR_S = 3600
VISIBLE_AFTER_S = 900

# Takes a message, and ends without a word about it. Prints how many messages are in the queue then.
HOLD = """
import os, sys
from kombu import Connection, Queue
from worker.broker import message_time

message_time.install(message_time.BrokerTime())
channel = Connection(sys.argv[1]).channel()
queue = Queue("work", channel=channel)
queue.declare()
channel.basic_publish(channel.prepare_message("a job"), exchange="", routing_key="work")
assert queue.get(no_ack=False) is not None
print(channel.client.llen("work"), flush=True)
os._exit(0)
"""

# Looks for messages that were taken long ago. Prints how many are in the queue then.
LOOK = """
import sys
from kombu import Connection
from worker.broker import message_time

message_time.install(message_time.BrokerTime())
channel = Connection(sys.argv[1], transport_options={"visibility_timeout": int(sys.argv[2])}).channel()
channel.qos.restore_visible(interval=1)
print(channel.client.llen("work"))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Skip the test without a C compiler on a laptop; fail it in CI, which installs one."""
    if not can_shift_clocks():
        if os.environ.get("CI"):
            pytest.fail("clocks cannot be shifted here")
        pytest.skip("shifting clocks takes Linux and a C compiler")
    return tmp_path


def run(folder: Path, script: str, *words: str, shift_s: int) -> int:
    clocks = ShiftedClocks(folder, {"it": shift_s})
    run = subprocess.run(
        [sys.executable, "-c", script, *words],
        env=python_environment() | clocks.environment_of("it"),
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return int(run.stdout)


@pytest.mark.parametrize(("holder_s", "looker_s"), [(0, HOUR_S), (HOUR_S, -HOUR_S), (-HOUR_S, HOUR_S)])
def test_a_message_comes_back_when_its_time_is_over_by_the_clock_of_redis(
    folder: Path, redis_url: str, holder_s: int, looker_s: int
) -> None:
    assert run(folder, HOLD, redis_url, shift_s=holder_s) == 0

    assert run(folder, LOOK, redis_url, str(VISIBLE_AFTER_S), shift_s=looker_s) == 0
    assert run(folder, LOOK, redis_url, "0", shift_s=looker_s) == 1
