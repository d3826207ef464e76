"""Response schemas of plans: what exports would cost (pydantic)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal, Self

from pydantic import BaseModel

from api_shim.responses.connections import FactsView
from worker.jobs.estimate import Basis, Estimate, seconds_together
from worker.jobs.request_view import JobRequestView, request_view
from worker.rate_limit.quota import Rate
from worker.records.types import ExportType
from worker.rpc.requests import ExportPlan, Plan


class ExportPlanView(BaseModel):
    """The size of one export; null: unknown.

    `basis` says where `records` comes from: `hubspot` is HubSpot's own total, `last_export` the last complete export,
    both as of `as_of`; `limit` is the limit of the request, the maximum possible. `calls_by_kind` counts the calls as
    the receipt does. Any one of `missing_scopes` is sufficient.
    """

    type: str
    request: JobRequestView
    records: int | None
    calls: int | None
    calls_by_kind: dict[str, int] | None
    seconds: float | None
    basis: Basis | None
    as_of: datetime | None
    missing_scopes: list[str] | None


class QuotaView(BaseModel):
    """The limit that all exports of the account share: `calls` in any `seconds`.

    `share` is how much of one such window the plan needs: 0.5 is half a window, 3 takes three. HubSpot reports no
    `daily` limit.
    """

    calls: int
    seconds: float
    share: float | None
    daily: None = None


class PlanView(BaseModel):
    """The size of exports that run in parallel; totals are null if any of them is unknown."""

    dry_run: Literal[True] = True
    exports: list[ExportPlanView]
    records: int | None
    calls: int | None
    seconds: float | None
    quota: QuotaView | None
    connection: FactsView


class PlanAnswer(BaseModel):
    """The answer to a dry run."""

    success: Literal[True] = True
    message: Literal["Nothing was started"] = "Nothing was started"
    data: PlanView

    @classmethod
    def of(cls, plan: Plan, types: Collection[ExportType]) -> Self:
        """Return it with the scopes that the connection lacks for these types."""
        return cls(data=_view_of(plan, types))


def _view_of(plan: Plan, types: Collection[ExportType]) -> PlanView:
    estimates = [each.estimate for each in plan.exports if each.estimate is not None]
    is_known = len(estimates) == len(plan.exports)
    calls = sum(each.calls for each in estimates) if is_known else None
    return PlanView(
        exports=[_export_view(each) for each in plan.exports],
        records=sum(each.records for each in estimates) if is_known else None,
        calls=calls,
        seconds=seconds_together(estimates, plan.rate) if is_known else None,
        quota=_quota_view(plan.rate, calls) if plan.rate is not None else None,
        connection=FactsView.of(plan.facts, types),
    )


def _export_view(plan: ExportPlan) -> ExportPlanView:
    estimate: Estimate | None = plan.estimate
    return ExportPlanView(
        type=plan.export_type,
        request=request_view(plan.request),
        records=estimate.records if estimate is not None else None,
        calls=estimate.calls if estimate is not None else None,
        calls_by_kind=dict(estimate.calls_by_kind) if estimate is not None else None,
        seconds=estimate.seconds if estimate is not None else None,
        basis=estimate.basis if estimate is not None else None,
        as_of=estimate.as_of if estimate is not None else None,
        missing_scopes=list(plan.missing_scopes) if plan.missing_scopes is not None else None,
    )


def _quota_view(rate: Rate, calls: int | None) -> QuotaView:
    share = round(calls / rate.calls, 4) if calls is not None else None
    return QuotaView(calls=rate.calls, seconds=rate.seconds, share=share)
