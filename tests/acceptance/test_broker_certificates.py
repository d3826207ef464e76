"""The product over TLS: it works with the right authority, and waits, telling why, with a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import requests

from sandbox.servers.ports import HOST
from sandbox.servers.rabbitmq import RabbitServer
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.certificates import Authority
from tests.acceptance.client import Client
from tests.acceptance.conftest import connect
from tests.acceptance.rabbitmq import require_rabbitmq
from tests.acceptance.redis_servers import PASSWORD, redis_over_tls
from tests.acceptance.stacks import another_shim
from tests.patience import PATIENCE_S, until

REFUSED = "CERTIFICATE_VERIFY_FAILED"


def test_everything_works_over_tls(tmp_path: Path) -> None:
    require_rabbitmq()
    authority = Authority(tmp_path / "ours")
    certificate = authority.issue(HOST)
    redis = redis_over_tls(tmp_path, authority=authority, certificate=certificate)
    ours = f"?ssl_ca_certs={authority.file}"
    try:
        redis.start().wait_ready()
        url = f"rediss://:{PASSWORD}@{HOST}:{redis.port}/0{ours}"
        options = StackOptions(settings={"CELERY_BROKER_URL": url, "REDIS_URL": url})
        with temporary_state() as folder, Stack(folder, options=options) as stack:
            client = connect(stack, contacts=250)
            works(client)
            with RabbitServer(tmp_path / "rabbitmq", certificate=certificate) as rabbit:
                over_rabbitmq = {"CELERY_BROKER_URL": f"{rabbit.url}{ours}"}
                stack.dismiss_workers()
                stack.start_worker(settings=over_rabbitmq).wait_ready()
                with another_shim(stack, **over_rabbitmq) as shim:
                    works(replace(client, shim_url=shim.url))
                stack.dismiss_workers()
                rabbit.kill()
    finally:
        redis.stop()


def works(client: Client) -> None:
    assert client.get("/export/contacts").status_code == 200
    assert client.finished(client.start("contacts"))["status"] == "succeeded"


def test_a_server_that_cannot_prove_who_it_is_is_waited_for_and_told_of(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs")
    redis = redis_over_tls(tmp_path, authority=ours, certificate=ours.issue(HOST))
    url = f"rediss://:{PASSWORD}@{HOST}:{redis.port}/0?ssl_ca_certs={theirs.file}"
    options = StackOptions(settings={"CELERY_BROKER_URL": url, "REDIS_URL": url}, workers=0, beats=0, shim=False)
    try:
        redis.start().wait_ready()
        with temporary_state() as folder, Stack(folder, options=options) as stack:
            worker, beat, shim = stack.start_worker(), stack.start_beat(), stack.shim.start()
            client = connect(stack, contacts=1)
            until(lambda: _answers(f"{stack.shim_url}/healthz"))
            assert client.get("/export/contacts").json()["message"] == "The message broker is not available"
            assert client.post("/export/contacts").status_code == 202
            ready = requests.get(f"{stack.shim_url}/readyz", timeout=PATIENCE_S)
            assert (ready.status_code, ready.json()["message"]) == (503, "The message broker is not available")
            for process in (worker, beat):
                until(lambda process=process: process.has_written(REFUSED))  # type: ignore[misc]
            for process in (worker, beat, shim):
                assert process.is_alive
                assert not process.has_written(PASSWORD)
    finally:
        redis.stop()


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=PATIENCE_S).ok
    except requests.ConnectionError:
        return False
