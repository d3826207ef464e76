"""Traces: what a process says of its requests, messages, slices and calls, and NoTraces: nothing."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

Attributes: TypeAlias = Mapping[str, str | int | float | bool | None]
"""What a span says, by OpenTelemetry's names where there are any; None is left out."""

SpanKind: TypeAlias = Literal["server", "producer", "consumer", "client"]

TRACEPARENT = "traceparent"
"""The header of W3C's Trace Context, of requests and of messages alike; its `tracestate`, of any size, is left out."""
JOB_ID = "hubspot_export.job_id"
"""The attribute by which the spans of a job are found."""
RPC_ID = "hubspot_export.errand_id"
"""The same for those of an RPC request."""
LINK = "hubspot-export-link"
"""The header of a message whose receiver begins a trace of its own; it holds the `traceparent` to link to."""

_NOTHING: Attributes = MappingProxyType({})


class Span(Protocol):
    """One piece of work in a trace."""

    def note(self, attributes: Attributes) -> None:
        """Say more about it."""

    def rename(self, name: str) -> None:
        """Call it by a better name."""

    def fail(self, kind: str) -> None:
        """Say that it went wrong; `kind` is a status or the name of an error."""


class Traces(Protocol):
    """Where spans go. None of its methods raises, or waits for whoever collects them."""

    def span(
        self,
        name: str,
        kind: SpanKind,
        *,
        attributes: Attributes = _NOTHING,
        parent: Mapping[str, str] | None = None,
        link: str | None = None,
    ) -> AbstractContextManager[Span]:
        """Give a span that lasts until the block ends; an exception that leaves the block makes it fail.

        It belongs to the present span, or to the one that the headers in `parent` name; where they name none, a trace
        begins. `link` is the `traceparent` of another trace that led to it.
        """

    def headers(self) -> dict[str, str]:
        """Give the headers by which a receiver goes on with the present span's trace; none outside of spans."""

    def close(self) -> None:
        """Send what is left, if that takes no more than moments."""


class NoTraces:
    """Traces where nobody collects them."""

    def span(
        self,
        name: str,  # noqa: ARG002 - the seam's
        kind: SpanKind,  # noqa: ARG002
        *,
        attributes: Attributes = _NOTHING,  # noqa: ARG002
        parent: Mapping[str, str] | None = None,  # noqa: ARG002
        link: str | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[Span]:
        """Give what forgets."""
        return nullcontext(_NO_SPAN)

    def headers(self) -> dict[str, str]:
        """Give none."""
        return {}

    def close(self) -> None:
        """Nothing is left."""


class _NoSpan:
    def note(self, attributes: Attributes) -> None: ...

    def rename(self, name: str) -> None: ...

    def fail(self, kind: str) -> None: ...


_NO_SPAN = _NoSpan()
