"""How far a job is, and its patience <-> their fields in its document, some of which have older names."""

from __future__ import annotations

from worker.jobs.progress import Patience, Progress
from worker.mongo.database import Document


def patience_to_fields(patience: Patience) -> Document:
    return {
        "attempts": patience.attempts,
        "lapses": patience.abandoned_leases,
        "waited_s": patience.backoff_s,
        "most_a_page": patience.page_size_cap,
        "longest_query": patience.longest_query,
    }


def patience_from_fields(document: Document) -> Patience:
    return Patience(
        attempts=document["attempts"],
        abandoned_leases=document.get("lapses", 0),
        backoff_s=document.get("waited_s", 0.0),
        page_size_cap=document.get("most_a_page"),
        longest_query=document.get("longest_query"),
    )


def progress_to_document(progress: Progress) -> Document:
    return {
        "pages": progress.pages,
        "records": progress.records,
        "offset": progress.offset,
        "has_more": progress.has_more,
        "landmark": progress.cycle_marker,
        "api": progress.api,
    }


def progress_from_document(document: Document) -> Progress:
    stored = dict(document)
    return Progress(cycle_marker=stored.pop("landmark", None), **stored)
