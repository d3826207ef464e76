"""The conditions of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The deployment and the faults. `calls` per `interval_s` seconds is the rate limit of each account.

    `faulty` is the share of faulty answers of HubSpot, `grace_s` the time that jobs have to end after the faults. With
    `shifted_clocks` the clocks of the product's processes are alternately an hour ahead and an hour behind.
    """

    workers: int
    mongo_members: int
    kill_every_s: float
    faulty: float
    calls: int
    interval_s: int
    grace_s: float
    shifted_clocks: bool = False
    broker: str = "redis"
    logs: Path | None = None
