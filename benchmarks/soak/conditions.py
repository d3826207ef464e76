"""What a run does its work under."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the work is done under. `calls` in `interval_s` seconds is the limit of each account.

    `faulty` is the part of HubSpot's answers that are, `grace_s` what jobs get to end once the faults have. With
    `shifted_clocks` those of the product's processes are an hour ahead or behind, in turns.
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
