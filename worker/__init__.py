"""The background worker: it owns the domain, and `celery -A worker` finds its app here."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from celery import Celery


def __getattr__(name: str) -> Celery:
    """Give Celery's command line the app it looks up as `worker.celery`, built only when it is asked for."""
    if name == "celery":
        from worker.app import app  # noqa: PLC0415 - importing `worker` alone must stay free of Celery

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
