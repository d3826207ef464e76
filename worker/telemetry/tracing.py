"""Traces: spans of requests, messages, slices and calls; NoTraces: none."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

Attributes: TypeAlias = Mapping[str, str | int | float | bool | None]
"""Attributes of a span, by OpenTelemetry's names where there are any; None is left out."""

SpanKind: TypeAlias = Literal["server", "producer", "consumer", "client"]

TRACEPARENT = "traceparent"
"""The header of W3C's Trace Context, on requests and messages. `tracestate`, which has no size limit, is dropped."""
JOB_ID = "hubspot_export.job_id"
"""The attribute that the spans of a job have in common."""
RPC_ID = "hubspot_export.errand_id"
"""The same of an RPC request, by the name that collected traces know."""
LINK = "hubspot-export-link"
"""The header of a message whose receiver starts a trace of its own: the `traceparent` to link to."""

_NOTHING: Attributes = MappingProxyType({})


class Span(Protocol):
    """One unit of work in a trace."""

    def note(self, attributes: Attributes) -> None:
        """Add attributes."""

    def rename(self, name: str) -> None:
        """Change the name, where a better one is known only later."""

    def fail(self, kind: str) -> None:
        """Mark it as failed; `kind` is a status or the name of an error."""


class Traces(Protocol):
    """Where spans go. No method raises, or waits for the collector."""

    def span(
        self,
        name: str,
        kind: SpanKind,
        *,
        attributes: Attributes = _NOTHING,
        parent: Mapping[str, str] | None = None,
        link: str | None = None,
    ) -> AbstractContextManager[Span]:
        """Start a span that lasts until the block ends; an exception that leaves the block marks it as failed.

        Its parent is the current span, or the one that the headers in `parent` name; where they name none, a trace
        starts. `link` is the `traceparent` of another trace that led to it.
        """

    def headers(self) -> dict[str, str]:
        """Return the headers by which a receiver continues the current trace; empty outside of spans."""

    def close(self) -> None:
        """Send what is left, unless that takes longer than moments."""


class NoTraces:
    """Traces without a collector."""

    def span(
        self,
        name: str,  # noqa: ARG002 - the interface's
        kind: SpanKind,  # noqa: ARG002
        *,
        attributes: Attributes = _NOTHING,  # noqa: ARG002
        parent: Mapping[str, str] | None = None,  # noqa: ARG002
        link: str | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        return nullcontext(_NO_SPAN)

    def headers(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        """Do nothing."""


class _NoSpan:
    def note(self, attributes: Attributes) -> None: ...

    def rename(self, name: str) -> None: ...

    def fail(self, kind: str) -> None: ...


_NO_SPAN = _NoSpan()
