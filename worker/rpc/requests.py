"""RpcRequest: a question that the shim has and only a worker can put to HubSpot, while a caller waits. Pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from pydantic import SecretStr

from worker.accounts.connection import HubSpotFacts
from worker.jobs.estimate import Estimate
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobError
from worker.rate_limit.quota import Rate
from worker.records.types import ExportType


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeCode:
    """Exchange the authorisation code, which is the RPC request's secret, for a token, and store that."""

    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedExport:
    """An export that nobody has started."""

    export_type: ExportType
    request: ExportRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanExports:
    """Say what these exports would come to, if they ran side by side."""

    exports: tuple[PlannedExport, ...]


Question: TypeAlias = ExchangeCode | PlanExports


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The account is connected: to which HubSpot account, by whom, and what may be read."""

    facts: HubSpotFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """What one export would come to. None: that nobody knows.

    Any one of the `missing_scopes` would do; none are missing where there are none.
    """

    export_type: ExportType
    request: ExportRequest
    estimate: Estimate | None
    missing_scopes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What exports would come to; `rate` is the limit of calls that they share, `facts` are of their connection."""

    exports: tuple[ExportPlan, ...]
    rate: Rate | None
    facts: HubSpotFacts


Answer: TypeAlias = Connected | Plan | JobError
"""What came of an RPC request; an error in words for a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcRequest:
    """One question, put once. `secret` is what must not lie about: the store forgets it as soon as someone goes."""

    rpc_id: str
    account_id: str
    owner: str
    question: Question
    created_at: datetime
    secret: SecretStr | None = None
