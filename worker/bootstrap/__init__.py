"""The worker's composition root: the one place that builds objects, area by area."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from prometheus_client import CollectorRegistry

from worker.accounts.encryption import TokenEncryption
from worker.bootstrap.accounts import Accounts, build_accounts
from worker.bootstrap.copies import build_copies
from worker.bootstrap.definitions import build_definitions
from worker.bootstrap.export import Limiters, build_exporter, build_limiters, build_planner
from worker.bootstrap.infrastructure import Infrastructure, build_infrastructure
from worker.bootstrap.upkeep import build_deliverer, build_dispatcher, build_sweeper
from worker.definitions.definitions import Definitions
from worker.export.runner import Exporter
from worker.hubspot.oauth.unwritten_tokens import UnwrittenTokens
from worker.instrumented.tasks import Instruments
from worker.lifecycle.interfaces import UpkeepStore
from worker.lifecycle.mongo.upkeep import MongoUpkeepStore
from worker.lifecycle.planner import Planner
from worker.lifecycle.sync_starter import Syncer
from worker.lifecycle.sync_types import SyncTypes
from worker.rpc.mongo.requests import MongoRpcRequestStore
from worker.rpc.server import RpcServer
from worker.schedules.pacing import Paced
from worker.schedules.schedule import RunCounts
from worker.settings import WorkerSettings, load
from worker.telemetry.metrics import new_registry
from worker.webhooks.deliverer import Deliverer

stopping = threading.Event()
_building = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the tasks and the signals call."""

    exporter: Exporter
    syncer: Syncer
    rpc_server: RpcServer
    deliverer: Deliverer
    sweep: Callable[[], int | None]
    upkeep: UpkeepStore
    dispatch: Callable[[], RunCounts | None]
    unwritten: UnwrittenTokens
    limiters: Limiters
    instruments: Instruments


def services() -> Services:
    """Return this process' services, built at first use: a pool that forks must not share connections."""
    with _building:
        return services_of(os.getpid())


@cache
def services_of(pid: int) -> Services:
    """Return the objects of a process by its id: a forked child builds its own."""
    return build(load(WorkerSettings), stopping=stopping, registry=registry_of(pid))


@cache
def registry_of(_pid: int) -> CollectorRegistry:
    """Return the metrics registry of a process."""
    return new_registry()


def build(settings: WorkerSettings, *, stopping: threading.Event, registry: CollectorRegistry) -> Services:
    """Wire a worker; nothing is connected before it is used."""
    infra = build_infrastructure(settings, stopping=stopping, registry=registry)
    accounts, limiters = build_accounts(infra), build_limiters(settings)
    copies, planner = build_copies(infra, accounts), build_planner(infra, accounts, limiters)
    definitions = build_definitions(infra, accounts, limiters.calls)
    upkeep = MongoUpkeepStore(infra.database)
    return Services(
        exporter=build_exporter(infra, accounts, copies, planner, definitions=definitions, limiters=limiters),
        syncer=build_syncer(infra, definitions),
        rpc_server=build_rpc_server(infra, accounts, planner, definitions),
        deliverer=build_deliverer(infra),
        sweep=Paced(build_sweeper(infra, copies, upkeep).sweep),
        upkeep=upkeep,
        dispatch=Paced(build_dispatcher(infra, accounts).dispatch),
        unwritten=accounts.unwritten,
        limiters=limiters,
        instruments=infra.instruments,
    )


def build_syncer(infra: Infrastructure, definitions: Definitions) -> Syncer:
    types = SyncTypes(enabled=infra.settings.export_types, custom_objects=definitions, clock=infra.clock)
    return Syncer(jobs=infra.jobs, queue=infra.queue, clock=infra.clock, types=types)


def build_rpc_server(
    infra: Infrastructure, accounts: Accounts, planner: Planner, definitions: Definitions
) -> RpcServer:
    encryption = TokenEncryption(infra.settings.token_encryption_keys)
    return RpcServer(
        rpc_requests=MongoRpcRequestStore(infra.database, encryption),
        code_exchanger=accounts.code_exchanger,
        planner=planner,
        definitions=definitions,
        notifier=infra.notifier,
        clock=infra.clock,
    )
