"""What operators see of real exports: metrics, traces and logs of the shim and a worker as processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from sandbox.processes import Process
from sandbox.servers.ports import HOST, ReservedPort
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state
from tests.acceptance.client import BASE_PATH, TYPES, Client
from tests.acceptance.collector import Collector, SentSpan, listening
from tests.acceptance.conftest import connect
from tests.patience import PATIENCE_S, until

SERVER_SPAN = f"POST {BASE_PATH}/export/{{type}}"


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A stack, the collector of its traces, and the address of its worker's metrics."""

    stack: Stack
    collector: Collector
    worker_url: str

    def scrape_worker(self) -> dict[str, float]:
        return samples(self.worker_url)

    def scrape_shim(self) -> dict[str, float]:
        return samples(f"{self.stack.shim_url}/metrics")

    def shim_showing(self, name: str) -> dict[str, float]:
        """Scrape the shim until a sample is above zero; what is read from the database may be seconds old."""
        return until(self.scrape_shim, lambda found: found.get(name))


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    collector, port = Collector(), ReservedPort()
    with listening(collector) as endpoint, temporary_state() as folder:
        settings = {
            "HUBSPOT_RATE_LIMIT": "0",
            "SLICE_SECONDS": "0.5",
            "LOG_FORMAT": "json",
            "LOG_LEVEL": "debug",
            "METRICS_PORT": str(port.number),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        with Stack(folder, options=StackOptions(settings=settings)) as stack:
            yield Watched(stack=stack, collector=collector, worker_url=f"http://{HOST}:{port.number}/metrics")


def samples(url: str) -> dict[str, float]:
    """Return every sample of a scrape as `name{label=value}`."""
    answer = requests.get(url, timeout=PATIENCE_S)
    assert answer.status_code == 200
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def lines(process: Process) -> list[dict[str, Any]]:
    return [json.loads(line) for line in process.log.read_text().splitlines() if line.startswith("{")]


def logged(process: Process, *, count: int, wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Wait until so many lines are logged: a line may come after the answer that it is about."""
    return until(lambda: [line for line in lines(process) if wanted(line)], lambda found: len(found) >= count)


def by_name(spans: list[SentSpan]) -> dict[str, SentSpan]:
    return {span.name: span for span in spans}


# Metrics


def test_what_is_counted_is_what_was_exported(watched: Watched) -> None:
    client = connect(watched.stack, contacts=230, companies=260, deals=255, engagements=130)
    before = watched.scrape_worker()
    jobs = {export_type: client.finished(client.start(export_type)) for export_type in TYPES}
    slices = "hubspot_export_slices_total{outcome=worked}"  # counted after a job has ended, as the last thing
    after = until(watched.scrape_worker, lambda found: found[slices] - before.get(slices, 0) >= len(TYPES))

    def grown(name: str) -> float:
        return after.get(name, 0) - before.get(name, 0)

    for export_type, job in jobs.items():
        assert job["status"] == "succeeded"
        assert grown(f"hubspot_export_pages_total{{api=legacy,type={export_type}}}") == job["progress"]["pages"]
        assert grown(f"hubspot_export_records_total{{api=legacy,type={export_type}}}") == job["progress"]["records"]
        assert grown(f"hubspot_export_jobs_ended_total{{kind=export,status=succeeded,type={export_type}}}") == 1
    calls = sum(job["progress"]["pages"] for job in jobs.values())
    assert grown("hubspot_export_hubspot_calls_total{api=legacy,status=200}") == calls
    assert grown("hubspot_export_hubspot_calls_total{api=oauth,status=200}") == 1
    assert grown("hubspot_export_token_renewals_total{outcome=renewed}") == 1
    assert after["process_cpu_seconds_total{}"] > before["process_cpu_seconds_total{}"]


def test_the_shim_tells_what_was_asked_and_how_jobs_stand(watched: Watched) -> None:
    client = connect(watched.stack, contacts=1000)
    watched.stack.hubspot_control.change_account(client.account.hub_id, latency_s=1.0)
    posted = f"hubspot_export_http_requests_total{{method=POST,route={BASE_PATH}/export/{{type}},status=202}}"
    before = watched.scrape_shim().get(posted, 0)
    path = client.start("contacts", {"page_size": 100})
    found = watched.shim_showing("hubspot_export_jobs{kind=export,status=running,type=contacts}")
    client.post(f"{path}/cancel")
    ended = client.finished(path)

    assert ended["status"] == "cancelled"
    assert found[posted] - before == 1
    assert found["hubspot_export_oldest_running_seconds{kind=export}"] > 0
    assert found["hubspot_export_database_up{}"] == 1


def test_a_connection_that_hubspot_refuses_is_counted(watched: Watched) -> None:
    client = connect(watched.stack, contacts=1)
    control = watched.stack.hubspot_control
    control.fail_next("bad_refresh_token", account=client.account.hub_id, type="token", times=None)
    job = client.finished(client.start("contacts"))
    found = watched.shim_showing("hubspot_export_connections_refused{}")

    assert job["error"]["code"] == "reconnect_required"
    assert found["hubspot_export_connections_refused{}"] == 1


def test_metrics_name_no_account_and_no_job(watched: Watched) -> None:
    client = connect(watched.stack, contacts=10)
    path = client.start("contacts")
    client.finished(path)
    shown = [
        requests.get(url, timeout=PATIENCE_S).text for url in (watched.worker_url, f"{watched.stack.shim_url}/metrics")
    ]

    for secret in (client.account.account_id, client.account.owner, path.rpartition("/")[2], client.token):
        assert not [text for text in shown if secret in text]


# Traces


def test_one_export_is_one_trace_from_the_request_to_hubspot(watched: Watched) -> None:
    client = connect(watched.stack, contacts=10)
    path = client.start("contacts")
    client.finished(path)
    job_id = path.rpartition("/")[2]
    (server,) = watched.collector.wait_for(
        count=1, wanted=lambda span: span.name == SERVER_SPAN and span.attributes["hubspot_export.job_id"] == job_id
    )
    spans = watched.collector.wait_for(count=5, wanted=lambda span: span.trace == server.trace)
    named = by_name(spans)

    assert sorted(named) == sorted([SERVER_SPAN, "publish", "run_slice", "POST oauth", "GET legacy"])
    assert (server.service, server.parent) == ("hubspot-export-shim", "")
    assert named["publish"].parent == server.span
    assert named["run_slice"].parent == named["publish"].span
    assert named["GET legacy"].parent == named["POST oauth"].parent == named["run_slice"].span
    assert {named[name].service for name in ("run_slice", "GET legacy")} == {"hubspot-export-worker"}
    assert server.attributes["http.response.status_code"] == 202
    assert named["GET legacy"].attributes["hubspot.correlation_id"]


def test_a_callers_trace_is_gone_on_with(watched: Watched) -> None:
    client = connect(watched.stack, contacts=10)
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    assert client.get("/export/contacts", traceparent=f"00-{trace}-{parent}-01").status_code == 200
    named = by_name(watched.collector.wait_for(count=5, wanted=lambda span: span.trace == trace))

    assert named[f"GET {BASE_PATH}/export/{{type}}"].parent == parent
    assert "GET legacy" in named


def test_the_slices_of_a_long_export_have_traces_of_their_own_that_link_to_the_first(watched: Watched) -> None:
    client = connect(watched.stack, contacts=500)
    watched.stack.hubspot_control.change_account(client.account.hub_id, latency_s=0.3)
    path = client.start("contacts", {"page_size": 100})
    client.finished(path)
    job_id = path.rpartition("/")[2]

    def is_slice(span: SentSpan) -> bool:
        return span.name == "run_slice" and span.attributes["hubspot_export.job_id"] == job_id

    first, *later = sorted(watched.collector.wait_for(count=3, wanted=is_slice), key=lambda span: len(span.links))

    assert (first.links, bool(first.parent)) == ((), True)
    assert {span.links for span in later} == {(first.trace,)}
    assert {span.parent for span in later} == {""}
    assert len({span.trace for span in later}) == len(later)


def test_the_exports_of_a_sync_go_on_with_its_requests_trace(watched: Watched) -> None:
    client = connect(watched.stack, contacts=10, deals=10)
    answer = client.post("/sync", {"types": ["contacts", "deals"]}, **{"X-Request-Id": "sync-1"})
    sync = client.finished(answer.headers["Location"].removeprefix(BASE_PATH))
    slices = watched.collector.wait_for(
        count=2,
        wanted=lambda span: span.name == "run_slice" and span.attributes["hubspot_export.job_id"] in sync["children"],
    )
    (server,) = watched.collector.wait_for(
        count=1,
        wanted=lambda span: (
            span.name == f"POST {BASE_PATH}/sync" and span.attributes["hubspot_export.job_id"] == sync["job_id"]
        ),
    )
    publishing = watched.collector.wait_for(
        count=1, wanted=lambda span: span.name == "publish" and span.parent == server.span
    )
    left = logged(
        watched.stack.workers[0],
        count=2,
        wanted=lambda line: line["event"] == "job_left" and line.get("request_id") == "sync-1",
    )

    # The sync is published for once: whoever takes its first export publishes for the next.
    assert {span.trace for span in slices} == {server.trace}
    assert {span.parent for span in slices} <= {server.span, *(span.span for span in publishing)}
    assert {line["job_id"] for line in left} == set(sync["children"])


# Logs


def test_a_request_is_followed_by_its_id_through_both_processes(watched: Watched) -> None:
    client = connect(watched.stack, contacts=10)
    answer = client.post("/export/contacts", **{"X-Request-Id": "order-66"})
    path = answer.headers["Location"].removeprefix(BASE_PATH)
    client.finished(path)
    job_id = path.rpartition("/")[2]
    account_id = client.account.account_id

    of_shim = logged(watched.stack.shim, count=1, wanted=lambda line: line.get("request_id") == "order-66")
    logged(
        watched.stack.workers[0], count=1, wanted=lambda line: line["event"] == "job_left" and line["job_id"] == job_id
    )
    of_worker = [line for line in lines(watched.stack.workers[0]) if line.get("request_id") == "order-66"]

    assert answer.headers["X-Request-Id"] == "order-66"
    assert [line["event"] for line in of_shim] == ["request_answered"]
    assert {line["event"] for line in of_worker} >= {"token_renewed", "hubspot_called", "job_left"}
    assert {(line["job_id"], line["account_id"]) for line in of_shim + of_worker} == {(job_id, account_id)}
    assert of_shim[0]["trace_id"] == of_worker[0]["trace_id"]


def test_a_failed_call_is_logged_with_hubspots_correlation_id(watched: Watched) -> None:
    client = connect(watched.stack, contacts=10)
    control = watched.stack.hubspot_control
    control.fail_next("bad_gateway", account=client.account.hub_id, type="contacts")
    job = client.finished(client.start("contacts"))
    (failed,) = logged(
        watched.stack.workers[0],
        count=1,
        wanted=lambda line: line["event"] == "call_failed" and line["job_id"] == job["job_id"],
    )

    assert (failed["hubspot_status"], failed["account_id"]) == (502, client.account.account_id)
    assert failed["hubspot_correlation_id"]


def test_no_log_holds_a_token_or_a_secret(watched: Watched) -> None:
    client = connect(watched.stack, contacts=10)
    client.finished(client.start("contacts"))
    (stored,) = client.documents("key", account_id=client.account.account_id)
    logs = [process.log.read_text() for process in (watched.stack.shim, *watched.stack.workers)]

    for secret in (
        *(client.token, watched.stack.settings["HUBSPOT_CLIENT_SECRET"], watched.stack.settings["JWT_SECRET"]),
        *(stored["access_token"], stored["refresh_token"]),
    ):
        assert not [text for text in logs if secret in text]


def test_clients_are_told_apart_by_their_accounts_in_the_log(watched: Watched) -> None:
    clients: list[Client] = [connect(watched.stack, contacts=1) for _ in range(2)]
    for client in clients:
        assert client.get("/export/contacts").status_code == 200
    wanted = {client.account.account_id for client in clients}
    answered = logged(
        watched.stack.shim,
        count=2,
        wanted=lambda line: line["event"] == "request_answered" and "job_id" in line and line["account_id"] in wanted,
    )

    assert {line["account_id"] for line in answered} == wanted
