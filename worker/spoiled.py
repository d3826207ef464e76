"""SpoiledDocuments: reports stored documents that cannot be read, so that each is the problem of itself alone."""

from __future__ import annotations

from collections.abc import Callable

import structlog

_log = structlog.get_logger()


class SpoiledDocuments:
    """Logs each one as an error, by collection and id, and counts it where there are metrics.

    A store reports a document when it sets it aside: what is found again and again is reported once.
    """

    def __init__(self, count: Callable[[str], None] | None = None) -> None:
        self._count = count

    def report(self, collection: str, document_id: object, error: Exception) -> None:
        """Report one. Of the error only its kind is logged: its text may quote what is stored."""
        _log.error(
            "document_spoiled", collection=collection, document_id=str(document_id), error_type=type(error).__name__
        )
        if self._count is not None:
            self._count(collection)
