"""RpcRequest: what the shim asks of HubSpot through a worker while a caller waits; pure values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from pydantic import SecretStr

from worker.accounts.connection import TokenInfo
from worker.definitions.questions import CheckedProperties, CheckProperties, Defined, ListDefinitions
from worker.jobs.estimate import Estimate
from worker.jobs.request import ExportRequest
from worker.jobs.status import JobError
from worker.rate_limit.quota import Rate
from worker.records.types import ExportType


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeCode:
    """Exchange the authorisation code, which is the request's secret, for a token, and store the token."""

    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedExport:
    """An export to be estimated."""

    export_type: ExportType
    request: ExportRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanExports:
    """Estimate what these exports would cost if they ran side by side."""

    exports: tuple[PlannedExport, ...]


Question: TypeAlias = ExchangeCode | PlanExports | ListDefinitions | CheckProperties


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected:
    """The account is connected; `facts` say to which portal, by whom, and with which scopes."""

    facts: TokenInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """The estimate of one export, None where there is none.

    Any one of `missing_scopes` would be enough; empty: none is missing; None: HubSpot does not tell.
    """

    export_type: ExportType
    request: ExportRequest
    estimate: Estimate | None
    missing_scopes: tuple[str, ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Estimates of exports that share the limit `rate`; `facts` are those of their connection."""

    exports: tuple[ExportPlan, ...]
    rate: Rate | None
    facts: TokenInfo


Answer: TypeAlias = Connected | Plan | Defined | CheckedProperties | JobError
"""The answer to an RPC request; an error is in words for a client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcRequest:
    """A question that is asked once. The store deletes `secret` when a worker claims the request."""

    rpc_id: str
    account_id: str
    owner: str
    question: Question
    created_at: datetime
    secret: SecretStr | None = None
