"""A webhook is asked for with an export, refused for what can be seen to be wrong with it, and shown in the job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from click.testing import CliRunner
from structlog.typing import EventDict

from api_shim.cli import main
from tests.fakes.deliveries import InMemoryDeliveryStore
from tests.unit.api_shim.conftest import Running
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import Json, Shim, problem
from worker.jobs.job import Job
from worker.jobs.webhook import DeliveryResult, Webhook

URL = "https://hooks.example/T0/B0?token=secret"
SECRET = "w" * 32


@pytest.fixture
def shim(running: Running) -> Iterator[Shim]:
    """Yield a shim that can sign."""
    with running(webhook_secret=SECRET) as shim:
        yield shim


def shown(shim: Shim, job_id: str) -> Json:
    webhook: Json = shim.get(f"/jobs/{job_id}").json()["data"]["webhook"]
    return webhook


def refused(shim: Shim, webhook: object) -> str:
    status, body = problem(shim.post("/export/contacts", {"webhook": webhook}))
    assert (status, body["code"]) == (400, "invalid_request")
    assert shim.jobs.all == []
    message: str = body["message"]
    return message


def attempt(shim: Shim, job_id: str, reply: DeliveryResult, *, again_in_s: float | None = None) -> Job:
    """Do what a worker does that delivers."""
    deliveries = InMemoryDeliveryStore(shim.jobs, shim.clock)
    job = deliveries.claim(job_id, lease_s=60)
    assert job is not None
    assert job.webhook is not None
    told = job.webhook.after(reply, event_id="evt_1", at=shim.clock(), seconds=0.25)
    assert deliveries.note(replace(job, webhook=told), again_in_s=again_in_s)
    return job


def test_a_job_keeps_the_webhook_that_was_asked_for_and_shows_it(shim: Shim) -> None:
    job_id = shim.start("contacts", {"webhook": {"url": URL}})

    assert shim.jobs.all[0].webhook == Webhook(url=URL)
    assert shown(shim, job_id) == {"url": URL, "status": "pending", "next_attempt_at": None, "deliveries": []}


def test_a_job_without_one_shows_none(shim: Shim) -> None:
    assert shown(shim, shim.start("contacts", {"webhook": None})) is None


def test_a_job_shows_how_it_went(shim: Shim) -> None:
    job_id = shim.start("contacts", {"webhook": {"url": URL}})
    shim.worker.export(job_id, body_of("contacts", [1]))

    attempt(shim, job_id, DeliveryResult(error="No answer came in time"), again_in_s=90)

    assert shown(shim, job_id) == {
        "url": URL,
        "status": "pending",
        "next_attempt_at": "2026-11-23T15:01:30Z",
        "deliveries": [
            {
                "at": "2026-11-23T15:00:00Z",
                "event_id": "evt_1",
                "attempt": 1,
                "status": None,
                "seconds": 0.25,
                "error": "No answer came in time",
            }
        ],
    }
    shim.clock.advance(90)
    attempt(shim, job_id, DeliveryResult(status=204))
    last = shown(shim, job_id)
    assert (last["status"], last["next_attempt_at"]) == ("delivered", None)
    assert [(each["attempt"], each["status"], each["error"]) for each in last["deliveries"]] == [
        (1, None, "No answer came in time"),
        (2, 204, None),
    ]


def test_a_webhook_is_pending_again_when_its_job_is_retried(shim: Shim) -> None:
    job_id = shim.start("contacts", {"webhook": {"url": URL}})
    shim.post(f"/jobs/{job_id}/cancel")
    attempt(shim, job_id, DeliveryResult(status=410))
    assert shown(shim, job_id)["status"] == "failed"

    shim.post(f"/jobs/{job_id}/retry")

    assert shown(shim, job_id)["status"] == "pending"


@pytest.mark.parametrize(
    ("webhook", "message"),
    [
        ({"url": "http://hooks.example/"}, "webhook.url: must begin with https://"),
        (
            {"url": "https://127.0.0.1:8443/"},
            "webhook.url: must lead to a public address; this one is loopback",
        ),
        (
            {"url": "https://169.254.169.254/"},
            "webhook.url: must lead to a public address; this one is link-local",
        ),
        ({"url": "https://user:pass@hooks.example/"}, "webhook.url: must hold no user name and no password"),
        ({"url": "https://hooks.example:22/"}, "webhook.url: must name no port but 443 and those from 1024 on"),
        ({"url": f"https://hooks.example/{'x' * 2000}"}, "webhook.url: string should have at most 2000 characters"),
        ({"url": ""}, "webhook.url: must be at most 2000 visible ASCII characters; encode all others"),
        ({"url": 7}, "webhook.url: input should be a valid string"),
        ({}, "webhook.url: field required"),
        ({"url": URL, "secret": "x"}, "webhook.secret: is not a known field"),
    ],
)
def test_what_can_be_seen_to_be_wrong_is_refused_by_its_field(shim: Shim, webhook: object, message: str) -> None:
    assert refused(shim, webhook) == message


@pytest.mark.parametrize("webhook", [URL, [URL], 7, True])
def test_what_is_no_webhook_is_refused(shim: Shim, webhook: object) -> None:
    assert refused(shim, webhook).startswith("webhook: ")


def test_a_closed_network_may_be_told_of_its_own_jobs(running: Running) -> None:
    with running(webhook_secret=SECRET, webhook_allow_private=True) as shim:
        shim.start("contacts", {"webhook": {"url": "http://127.0.0.1:8080/job"}})
        assert refused_later(shim, "https://169.254.169.254/").endswith("this one is link-local")


def refused_later(shim: Shim, url: str) -> str:
    message: str = shim.post("/export/contacts", {"webhook": {"url": url}}).json()["message"]
    return message


def test_where_nothing_can_be_signed_there_are_no_webhooks(running: Running) -> None:
    with running() as shim:
        assert refused(shim, {"url": URL}) == "webhook: webhooks are not configured here: WEBHOOK_SECRET is not set"
        shim.start("contacts")


def test_another_webhook_makes_another_request_of_the_same_key(shim: Shim) -> None:
    def post(url: str) -> int:
        content = f'{{"webhook":{{"url":"{url}"}}}}'.encode()
        path = "/v1/integrations/hubspot/export/contacts"
        return shim.ask("POST", path, content=content, headers={"idempotency-key": "k1"}).status_code

    assert [post(URL), post(URL), post("https://elsewhere.example/")] == [202, 200, 422]


def test_no_log_holds_the_url(shim: Shim, logs: list[EventDict]) -> None:
    shim.start("contacts", {"webhook": {"url": URL}})
    shim.post("/export/contacts", {"webhook": {"url": "http://hooks.example/?token=secret"}})

    assert "hooks.example" not in repr(logs)


def test_the_command_line_prints_the_secrets_of_an_account() -> None:
    result = CliRunner().invoke(main, ["webhook-secret", "a1"], env={"WEBHOOK_SECRET": f"{'n' * 32},{'o' * 32}"})

    assert (result.exit_code, result.stderr) == (0, "")
    new, old = result.stdout.splitlines()
    assert new.startswith("whsec_")
    assert old.startswith("whsec_")
    assert new != old


def test_the_command_line_says_that_there_are_none() -> None:
    result = CliRunner().invoke(main, ["webhook-secret", "a1"], env={"WEBHOOK_SECRET": ""})

    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: There are no webhooks: WEBHOOK_SECRET is not set\n"
