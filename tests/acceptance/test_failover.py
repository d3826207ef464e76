"""What becomes of exports when MongoDB fails over, and when Redis comes back without its data."""

from __future__ import annotations

import time

from redis import Redis

from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.conftest import connect
from tests.patience import PATIENCE_S

NO_LIMIT = {"HUBSPOT_RATE_LIMIT": "0"}


def test_when_the_primary_of_three_is_lost_work_goes_on_and_nothing_accepted_is_missing() -> None:
    options = StackOptions(settings=NO_LIMIT, workers=2, mongo_members=3)
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        clients = [connect(stack, contacts=2000) for _ in range(4)]
        for client in clients:
            stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.2)
        accepted = [(client, client.start("contacts")) for client in clients]
        while not all(client.job(path)["progress"]["pages"] >= 2 for client, path in accepted):
            stack.check()

        stack.mongo.primary.kill()
        give_up_at = time.monotonic() + PATIENCE_S
        while len(accepted) < 8:
            assert time.monotonic() < give_up_at
            client = clients[len(accepted) % 4]
            answer = client.post("/export/contacts")
            assert answer.status_code in {202, 503}, answer.text
            if answer.status_code == 202:
                accepted.append((client, f"/jobs/{answer.json()['data']['job_id']}"))

        for client, path in accepted:
            job = client.finished(path)
            assert (job["status"], job["receipt"]["complete"]) == ("succeeded", True)
            assert client.stored_ids(path, "contacts") == client.ids_in_hubspot("contacts")


def test_jobs_whose_messages_were_lost_with_redis_are_rung_for_again() -> None:
    options = StackOptions(settings=NO_LIMIT, workers=0)
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        client = connect(stack, contacts=250)
        paths = [client.start("contacts") for _ in range(5)]
        with Redis.from_url(stack.redis.url) as redis:
            redis.flushall()
        stack.start_worker().wait_ready()
        for path in paths:
            job = client.finished(path)
            assert (job["status"], job["progress"]["records"]) == ("succeeded", 250)


def test_a_finished_job_is_gone_with_its_results_when_its_time_is_over() -> None:
    seconds = 4
    options = StackOptions(settings={**NO_LIMIT, "RESULT_TTL_DAYS": str(seconds / 86_400)}, ttl_sweep_s=1)
    with temporary_state() as folder, Stack(folder, options=options) as stack:
        client = connect(stack, contacts=250)
        path = client.start("contacts")
        job = client.finished(path)
        assert job["expires_at"] > job["finished_at"]
        give_up_at = time.monotonic() + PATIENCE_S
        while client.get(path).status_code != 404 or client.get(f"{path}/results").status_code != 404:
            assert time.monotonic() < give_up_at
        while client.documents("jobs") or client.documents("pages"):
            assert time.monotonic() < give_up_at
