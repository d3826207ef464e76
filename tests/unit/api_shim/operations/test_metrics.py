"""`/metrics`: requests by their routes, and the state of all jobs, whatever the database does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from api_shim.operations.metrics import StoredState, read_connections
from tests.contract.stores import new_job
from tests.fakes.clock import ManualClock
from tests.patience import PATIENCE_S
from tests.unit.api_shim.hubspot_pages import body_of
from tests.unit.api_shim.shim import BASE_PATH, Shim
from worker.accounts.connection import Refusal
from worker.errors import StoreUnavailableError
from worker.records.types import DEALS, DOCUMENTED_TYPES, NOTES, ExportType

EXPORT = f"{BASE_PATH}/export/{{type}}"
JOB = f"{BASE_PATH}/jobs/{{job_id}}"


def samples(text: str) -> dict[str, float]:
    """Return every sample as `name{label="value"}`."""
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scraped(shim: Shim) -> dict[str, float]:
    answer = shim.ask("GET", "/metrics", authorization="")
    assert answer.status_code == 200
    return samples(answer.text)


def requests(method: str, route: str, status: int) -> str:
    return f"hubspot_export_http_requests_total{{method={method},route={route},status={status}}}"


def test_open_jobs_of_custom_objects_are_counted_together(shim: Shim) -> None:
    for name in ("p1_cars", "p2_boats", "contacts"):
        shim.jobs.add(replace(new_job(), export_type=ExportType(name)))

    found = scraped(shim)

    def open_jobs(name: str) -> float:
        return found[f"hubspot_export_jobs{{kind=export,status=queued,type={name}}}"]

    assert (open_jobs("custom_objects"), open_jobs("contacts")) == (2, 1)
    assert not [name for name in found if "p1_cars" in name]


# Requests


def test_requests_are_counted_by_the_template_of_their_route(shim: Shim) -> None:
    job_id = shim.start("contacts")
    shim.start("deals")
    shim.get(f"/jobs/{job_id}")
    shim.get("/jobs/x")
    shim.get("/export/contacts?limit=no")

    found = scraped(shim)

    assert found[requests("POST", EXPORT, 202)] == 2
    assert found[requests("GET", JOB, 200)] == 1
    assert found[requests("GET", JOB, 404)] == 1
    assert found[requests("GET", EXPORT, 400)] == 1
    assert found[f"hubspot_export_http_request_duration_seconds_count{{method=GET,route={JOB}}}"] == 2


def test_callers_cannot_make_series_without_end(shim: Shim) -> None:
    for number in range(20):
        shim.ask("GET", f"/nowhere/{number}")
        shim.ask(f"VERB{number}", f"{BASE_PATH}/jobs/{number}")

    made = [name for name in scraped(shim) if name.startswith("hubspot_export_http_requests_total")]

    assert len(made) == 2
    assert scraped(shim)[requests("GET", "unknown", 404)] == 20


def test_documentation_and_metrics_are_counted_under_their_own_names(shim: Shim) -> None:
    for path in ("/docs", "/openapi.json", "/metrics"):
        shim.ask("GET", path)

    found = scraped(shim)

    assert [found[requests("GET", path, 200)] for path in ("/docs", "/openapi.json", "/metrics")] == [1, 1, 1]


def test_who_waits_for_a_job_is_seen_waiting(shim: Shim) -> None:
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = pool.submit(lambda: shim.get("/export/contacts"))
        job = shim.queue.take()
        during = scraped(shim)["hubspot_export_http_requests_waiting{}"]
        shim.worker.export(job.job_id, body_of("contacts", [1]))
        assert waiting.result(timeout=PATIENCE_S).status_code == 200

    assert (during, scraped(shim)["hubspot_export_http_requests_waiting{}"]) == (1, 0)


def test_whatever_a_scraper_accepts_it_gets_the_format_that_all_of_them_take(shim: Shim) -> None:
    for accept in ("application/openmetrics-text; version=1.0.0", "text/plain; version=x", "nonsense"):
        answer = shim.ask("GET", "/metrics", headers={"accept": accept})

        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")


# Jobs


def test_jobs_are_gauged_by_status_type_and_kind_with_the_age_of_the_queue(shim: Shim) -> None:
    shim.start("contacts")
    shim.clock.advance(90)
    shim.start("deals")
    shim.worker.start(shim.start("deals"))
    shim.clock.advance(10)

    found = scraped(shim)

    assert found["hubspot_export_jobs{kind=export,status=queued,type=contacts}"] == 1
    assert found["hubspot_export_jobs{kind=export,status=queued,type=deals}"] == 1
    assert found["hubspot_export_jobs{kind=export,status=running,type=deals}"] == 1
    assert found["hubspot_export_jobs_due{kind=export}"] == 2
    assert found["hubspot_export_queue_age_seconds{kind=export}"] == 100
    assert found["hubspot_export_oldest_running_seconds{kind=export}"] == 10
    assert found["hubspot_export_quietest_running_seconds{kind=export}"] == 10
    assert found["hubspot_export_database_up{}"] == 1


def test_where_there_is_no_job_the_ages_are_nothing_rather_than_missing(shim: Shim) -> None:
    found = scraped(shim)

    for name in ("jobs_due", "queue_age_seconds", "oldest_running_seconds", "quietest_running_seconds"):
        assert found[f"hubspot_export_{name}{{kind=page}}"] == 0
        assert found[f"hubspot_export_{name}{{kind=export}}"] == 0


def test_without_a_database_the_rest_is_told_and_nothing_old(shim: Shim) -> None:
    shim.start("contacts")
    shim.jobs.is_away = True

    found = scraped(shim)

    assert found["hubspot_export_database_up{}"] == 0
    assert found[requests("POST", EXPORT, 202)] == 1
    assert not [name for name in found if name.startswith(("hubspot_export_jobs{", "hubspot_export_queue_age"))]


# How often the database is asked


class Readings:
    """Counts how often it is read; each time takes as long as a test says."""

    def __init__(self, clock: ManualClock, *, takes_s: float = 0.0) -> None:
        self.times = 0
        self._clock = clock
        self._takes_s = takes_s

    def __call__(self) -> Iterable[Metric]:
        self.times += 1
        self._clock.advance(self._takes_s)
        return ()


def state(reading: Callable[[], Iterable[Metric]], clock: ManualClock) -> StoredState:
    return StoredState([reading], monotonic=lambda: clock().timestamp())


def test_however_many_scrapers_there_are_the_database_is_read_once_in_a_while() -> None:
    clock = ManualClock()
    reading = Readings(clock)
    gauges = state(reading, clock)
    for seconds in (0, 0.5, 1.4, 0.2, 1.9):
        clock.advance(seconds)
        list(gauges.collect())

    assert reading.times == 2


def test_a_reading_that_takes_long_is_done_less_often() -> None:
    clock = ManualClock()
    reading = Readings(clock, takes_s=1)
    gauges = state(reading, clock)
    for seconds in (0, 10, 9, 2):
        clock.advance(seconds)
        list(gauges.collect())

    assert reading.times == 2


def test_scrapes_at_the_same_time_share_one_reading() -> None:
    may_go_on, times = threading.Event(), []

    def slow() -> Iterable[Metric]:
        times.append(1)
        may_go_on.wait(PATIENCE_S)
        return ()

    gauges = state(slow, ManualClock())
    with ThreadPoolExecutor(max_workers=4) as pool:
        scrapes = [pool.submit(lambda: list(gauges.collect())) for _ in range(4)]
        may_go_on.set()
        assert [len(scrape.result(timeout=PATIENCE_S)) for scrape in scrapes] == [1, 1, 1, 1]

    assert len(times) == 1


def test_an_absent_database_is_asked_as_often_however_long_it_kept_the_last_scrape_waiting() -> None:
    clock, asked = ManualClock(), []

    def away() -> Iterable[Metric]:
        asked.append(1)
        clock.advance(60)
        raise StoreUnavailableError

    gauges = state(away, clock)
    for _ in range(4):
        list(gauges.collect())
        clock.advance(1)

    assert len(asked) == 2


def test_registering_reads_nothing() -> None:
    clock = ManualClock()
    reading = Readings(clock)
    CollectorRegistry(auto_describe=True).register(state(reading, clock))

    assert reading.times == 0


# Connections


class Health:
    """A ConnectionHealth of which a test knows the count."""

    def refusal(self, account_id: str, owner: str) -> Refusal | None:  # noqa: ARG002 - the seam's
        return None

    def count_refused(self) -> int:
        return 3


def test_connections_that_their_users_have_to_renew_are_counted() -> None:
    (refused,) = read_connections(Health())

    assert [(sample.name, sample.value) for sample in refused.samples] == [("hubspot_export_connections_refused", 3)]


def test_lists_that_are_gone_are_counted_by_type(shim: Shim) -> None:
    for account_id, export_type in (("a1", DEALS), ("a2", DEALS), ("a1", NOTES)):
        shim.gone_lists.sight(account_id, export_type, status=404, message="resource not found")
    shim.clock.advance(60)
    for account_id in ("a1", "a2"):
        shim.gone_lists.sight(account_id, DEALS, status=404, message="resource not found")

    found = scraped(shim)

    counts = {each: found[f"hubspot_export_lists_gone{{type={each}}}"] for each in DOCUMENTED_TYPES}
    assert counts == {"contacts": 0, "companies": 0, "deals": 2, "notes": 0}


def test_an_age_is_never_negative_though_clocks_may_disagree(shim: Shim) -> None:
    shim.start("contacts")
    shim.clock.advance(-5)

    assert scraped(shim)["hubspot_export_queue_age_seconds{kind=export}"] == 0
