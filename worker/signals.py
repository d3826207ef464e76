"""Handlers of Celery's signals: what a worker does when it starts and stops."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import structlog
from celery import signals
from celery.utils.nodenames import default_nodename, nodename

from worker.bootstrap import registry_of, services, services_of, stopping
from worker.bootstrap.infrastructure import connect_to_mongodb
from worker.broker import kombu_patch, message_time, worker_features
from worker.errors import StoreUnavailableError
from worker.hubspot.oauth.unwritten_tokens import LONGEST_SHUTDOWN_WAIT_S
from worker.indexes import ensure_indexes
from worker.processes import stop_with_parent
from worker.settings import BrokerSettings, WorkerSettings, is_counted_elsewhere, load, started_by
from worker.telemetry.logs import configure_logs
from worker.telemetry.metrics import serve_metrics

_TRY_AGAIN_S = 5.0

_log = structlog.get_logger()


@signals.celeryd_init.connect
def check_settings(instance: Any = None, **_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Refuse to start a worker with wrong settings: one line, exit status 2."""
    load(WorkerSettings)
    kombu_patch.apply()
    message_time.install(message_time.BrokerTime())
    worker_features.leave_out_what_is_not_used()
    if instance is not None and instance.hostname == default_nodename(""):
        # The remote-control queue of a name is exclusive in RabbitMQ: a second worker of the same name on this machine
        # would end with exit status 1.
        instance.hostname = nodename(f"celery-{os.getpid()}", socket.gethostname())


@signals.setup_logging.connect
def configure_logging(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Log in our format; with this handler connected Celery leaves logging alone."""
    settings = load(BrokerSettings)
    configure_logs(settings.log_format, settings.log_level)


@signals.worker_ready.connect
def create_indexes(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Create indexes in the background: queries are right without them, and MongoDB may be away for now."""
    threading.Thread(target=_ensure_indexes, name="indexes", daemon=True).start()


@signals.celeryd_init.connect
def watch_parent(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Stop as by SIGTERM once the parent of several workers has died: nothing would restart this one."""
    if (parent := started_by()) is not None:
        threading.Thread(target=stop_with_parent, args=(parent,), name="parent", daemon=True).start()


@signals.worker_ready.connect
def serve_own_metrics(sender: Any, **_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Serve this process' metrics. A pool that forks counts in its children, which cannot be scraped one by one."""
    settings = load(WorkerSettings)
    if settings.metrics_port is None or is_counted_elsewhere():
        return
    if type(sender.pool).__module__.endswith(".prefork"):
        _log.warning("metrics_not_served", reason="a pool of processes has none: use the pool of threads")
        return
    serve_metrics(registry_of(os.getpid()), host=settings.metrics_host, port=settings.metrics_port)


@signals.worker_shutdown.connect
@signals.worker_process_shutdown.connect
def flush_at_exit(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Store the tokens that only this process has, and report the last calls and spans."""
    if services_of.cache_info().currsize:
        services().unwritten.close(within_s=LONGEST_SHUTDOWN_WAIT_S)
        services().limiters.flush()
        services().instruments.traces.close()


@signals.worker_shutting_down.connect
def stop_after_this_page(**_: Any) -> None:  # noqa: ANN401 - Celery's signature
    """Let every slice of this process requeue its job once its current page is stored."""
    stopping.set()


def _ensure_indexes() -> None:
    """Retry until it succeeds. The connection is this thread's own: a pool that forks must not inherit one."""
    database = connect_to_mongodb(load(WorkerSettings))
    with database.client:
        while not stopping.is_set():
            try:
                ensure_indexes(database)
            except StoreUnavailableError:
                stopping.wait(_TRY_AGAIN_S)
            else:
                return
