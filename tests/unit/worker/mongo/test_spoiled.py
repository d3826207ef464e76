"""SpoiledDocuments: one that cannot be read is reported by its id, without its contents."""

from __future__ import annotations

from structlog.testing import capture_logs

from worker.mongo.spoiled import SpoiledDocuments
from worker.telemetry.metrics import JobMetrics, new_registry


def test_a_spoiled_document_is_logged_and_counted_by_its_collection() -> None:
    registry = new_registry()
    with capture_logs() as logs:
        SpoiledDocuments(JobMetrics(registry).count_spoiled).report("jobs", "j1", KeyError("a secret"))

    assert registry.get_sample_value("hubspot_export_spoiled_documents_total", {"collection": "jobs"}) == 1
    assert [(line["event"], line["log_level"], line["document_id"]) for line in logs] == [
        ("document_spoiled", "error", "j1")
    ]
    assert "a secret" not in str(logs)


def test_it_is_logged_where_nothing_is_counted() -> None:
    with capture_logs() as logs:
        SpoiledDocuments().report("pages", 7, ValueError())
    assert logs[0]["document_id"] == "7"
