"""SpoiledDocuments: reports stored documents that cannot be read, so that one does not affect the others."""

from __future__ import annotations

from collections.abc import Callable

import structlog

_log = structlog.get_logger()


class SpoiledDocuments:
    """Logs each as an error, by collection and id, and counts it where there are metrics.

    A store reports a document when it marks it as spoiled, so that each is reported once.
    """

    def __init__(self, count: Callable[[str], None] | None = None) -> None:
        self._count = count

    def report(self, collection: str, document_id: object, error: Exception) -> None:
        """Report a document. Only the type of the error is logged: its text may quote stored data."""
        _log.error(
            "document_spoiled", collection=collection, document_id=str(document_id), error_type=type(error).__name__
        )
        if self._count is not None:
            self._count(collection)
