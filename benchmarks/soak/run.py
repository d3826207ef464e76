"""One run from start to end: connect accounts, apply load and chaos, wait for the jobs, audit."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console

from benchmarks.soak import hubspot_faults
from benchmarks.soak.chaos_plan import ChaosEvent, ChaosRunner, make_chaos_plan
from benchmarks.soak.client import Client
from benchmarks.soak.conditions import Conditions
from benchmarks.soak.database import JobSampler
from benchmarks.soak.final_report import RunResults, make_final_report, title_of
from benchmarks.soak.hubspot_faults import FaultCount
from benchmarks.soak.ledger import Ledger
from benchmarks.soak.load import Clients, ExpectedIds, Load
from benchmarks.soak.plan import HUBSPOT_TYPES, Plan, Size, make_plan
from benchmarks.soak.report import Outcome
from benchmarks.soak.settling import Settling
from sandbox.commands.interruptions import Interruptions
from sandbox.seeding import seed
from sandbox.servers.binaries import UnusableBinaryError
from sandbox.servers.rabbitmq import RabbitServer, is_installed
from sandbox.stack import Stack, StackOptions
from sandbox.state_folder import temporary_state

_TICK_S = 0.1
_SHIFT_S = 3600
_POLL_S = 0.5
_LINE_EVERY_S = 10.0
_TOKEN_LIFE_S = 60  # short, so that tokens are renewed repeatedly during the chaos


def soak(size: Size, conditions: Conditions, *, interruptions: Interruptions, console: Console) -> Outcome:
    """Run once, on a new stack.

    Raises UnusableBinaryError, ProcessFailedError when a process has died that the run did not kill, and
    StopRequestedError after a signal.
    """
    with temporary_state() as folder, ExitStack() as cleanup:
        try:
            rabbitmq = _rabbitmq(folder, cleanup) if conditions.broker == "rabbitmq" else None
            stack = Stack(folder, options=_options(conditions, rabbitmq), pause=interruptions.pause)
            cleanup.enter_context(stack)
            run = _Run(stack, size, conditions, rabbitmq=rabbitmq, interruptions=interruptions, console=console)
            return run.outcome()
        finally:
            cleanup.close()
            if conditions.logs is not None:
                shutil.copytree(folder / "logs", conditions.logs, dirs_exist_ok=True)


def _options(conditions: Conditions, rabbitmq: RabbitServer | None) -> StackOptions:
    return StackOptions(
        workers=conditions.workers,
        mongo_members=conditions.mongo_members,
        settings={
            "HUBSPOT_RATE_LIMIT": f"{conditions.calls}/{conditions.interval_s}",
            **({"CELERY_BROKER_URL": rabbitmq.url} if rabbitmq is not None else {}),
        },
        clock_shifts_s=_shifts_s(conditions.workers) if conditions.shifted_clocks else {},
    )


def _shifts_s(workers: int) -> dict[str, int]:
    """Return the shifts, alternately an hour ahead and behind; JWTs are valid for longer than that."""
    names = ["shim", "beat-1", *(f"worker-{number}" for number in range(1, workers + 1))]
    return {name: _SHIFT_S if number % 2 == 0 else -_SHIFT_S for number, name in enumerate(names)}


def _rabbitmq(folder: Path, cleanup: ExitStack) -> RabbitServer:
    if not is_installed():
        raise UnusableBinaryError("rabbitmq-server is not installed")
    return cleanup.enter_context(RabbitServer(folder / "rabbitmq"))


class _Run:
    def __init__(  # noqa: PLR0913 - what a run is made of
        self,
        stack: Stack,
        size: Size,
        conditions: Conditions,
        *,
        rabbitmq: RabbitServer | None,
        interruptions: Interruptions,
        console: Console,
    ) -> None:
        self._stack = stack
        self._size = size
        self._conditions = conditions
        self._interruptions = interruptions
        self._console = console
        self._plan = make_plan(size)
        self._ledger = Ledger()
        self._client = Client(stack, [planned.account for planned in self._plan.accounts])
        self._sampler = JobSampler(stack)
        self._chaos = ChaosRunner(stack, rabbitmq)
        self._chaos_plan = make_chaos_plan(
            seconds=size.seconds,
            kill_every_s=conditions.kill_every_s,
            members=conditions.mongo_members,
            has_rabbitmq=rabbitmq is not None,
            seed=size.seed,
        )

    def outcome(self) -> Outcome:
        self._say(f"{title_of(self._size, self._conditions)}\nConnecting the accounts …")
        expected = _connect(self._stack, self._plan, self._conditions)
        self._started_at = time.monotonic()
        load = self._load(expected)
        self._sampler.start()
        load.start()
        try:
            faults = self._inject_faults()
            settling = self._settle(load)
            work_s = self._elapsed_s
        finally:
            load.stop()
            self._sampler.stop()
        self._say(f"Reading the results of {len(settling.ended)} jobs …")
        return make_final_report(
            RunResults(
                size=self._size,
                conditions=self._conditions,
                ledger=self._ledger,
                settling=settling,
                expected=expected,
                asked_for=len(self._plan.all_exports),
                planned=frozenset(timed.event for timed in self._chaos_plan),
                events=self._chaos.done,
                broker_away_s=self._chaos.broker_away_s,
                faults=faults,
                longest=self._sampler.stalls.longest,
                started_at=time.time() - self._elapsed_s,
                work_s=work_s,
            ),
            client=self._client,
            stack=self._stack,
            check=self._interruptions.check,
        )

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_at

    def _load(self, expected: ExpectedIds) -> Load:
        key = f"soak-{self._size.seed}"
        clients = Clients(client=self._client, ledger=self._ledger, expected=expected, key=key)
        return Load(self._plan, clients, started_at=self._started_at)

    def _inject_faults(self) -> list[FaultCount]:
        """Carry out the chaos plan, then repair everything; return the counts of HubSpot's faults."""
        control, conditions = self._stack.hubspot_control, self._conditions
        hubspot_faults.script(control, probability=conditions.faulty, seed=self._size.seed)
        for timed in self._chaos_plan:
            self._wait_until(timed.at_s)
            self._chaos.trigger(timed.event)
            if timed.event is not ChaosEvent.WORKER_KILLED:
                self._say(f"{self._elapsed_s:4.0f} s  {timed.event}")
        self._wait_until(self._size.seconds)
        faults = list(hubspot_faults.count(control))
        control.clear_faults()
        self._chaos.repair(pause=self._interruptions.pause)
        return faults

    def _settle(self, load: Load) -> Settling:
        """Wait for all jobs to end within the grace period; drop requests that could not be sent by then."""
        self._say(f"The faults are over. Jobs have {self._conditions.grace_s:g} s to end.")
        give_up_at = time.monotonic() + self._conditions.grace_s
        while not load.is_over and time.monotonic() < give_up_at:
            self._tick()
        settling = Settling(self._client, self._ledger.promises)
        settling.poll()
        while not settling.is_over and time.monotonic() < give_up_at:
            self._wait_until(self._elapsed_s + _POLL_S)
            settling.poll()
        return settling

    def _wait_until(self, at_s: float) -> None:
        while self._elapsed_s < at_s:
            self._tick()

    def _tick(self) -> None:
        """Pause briefly, and print the progress every 10 s. Raises ProcessFailedError when a process has died."""
        before = self._elapsed_s // _LINE_EVERY_S
        self._interruptions.pause(_TICK_S)
        self._stack.check()
        if self._elapsed_s // _LINE_EVERY_S > before:
            found = ", ".join(f"{count} {activity}" for activity, count in sorted(self._sampler.activities.items()))
            self._say(f"{self._elapsed_s:4.0f} s  {len(self._ledger.promises)} jobs accepted; {found or 'none open'}")

    def _say(self, text: str) -> None:
        self._console.print(text, soft_wrap=True, highlight=False)


def _connect(stack: Stack, plan: Plan, conditions: Conditions) -> ExpectedIds:
    """Create the accounts; return the ids of all their records."""
    for planned in plan.accounts:
        seed(
            stack,
            planned.account,
            records=dict(planned.records),
            latency_s=planned.latency_s,
            cursor_forms=dict(planned.cursor_forms),
            final_cursors=dict(planned.final_cursors),
            rate_limit=conditions.calls,
            rate_interval_s=float(conditions.interval_s),
            token_lifetime_s=_TOKEN_LIFE_S,
        )
    hub_ids = [planned.account.hub_id for planned in plan.accounts]
    return {
        (hub_id, name): stack.hubspot_control.record_ids(hub_id, hubspot_type)
        for hub_id in hub_ids
        for name, hubspot_type in HUBSPOT_TYPES.items()
    }
