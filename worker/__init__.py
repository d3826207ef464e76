"""The background worker: it owns the domain, and `celery -A worker` finds its app here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery


def __getattr__(name: str) -> Celery:
    """Return the app that Celery's command line looks up as `worker.celery`, imported on demand."""
    if name == "celery":
        from worker.app import app  # noqa: PLC0415 - importing `worker` alone must stay free of Celery

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
