"""`python -m worker`: a worker process for each core, or WORKER_PROCESSES of them, under one command."""

from __future__ import annotations

import os
import sys
from tempfile import TemporaryDirectory

import click

from worker.processes import WorkerProcesses
from worker.settings import WorkerSettings, environment_of_workers, load
from worker.telemetry.logs import configure_logs
from worker.telemetry.metrics import serve_metrics
from worker.telemetry.process_metrics import merged_registry


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(arguments: tuple[str, ...]) -> None:
    """Run a worker process for each core, or as many as WORKER_PROCESSES says.

    ARGUMENTS go to each `celery -A worker worker`, such as --concurrency=16 or -Q interactive.
    """
    settings = load(WorkerSettings)
    configure_logs(settings.log_format, settings.log_level)
    with TemporaryDirectory(prefix="hubspot-export-metrics-") as folder:
        workers = WorkerProcesses(
            count=settings.worker_processes or len(os.sched_getaffinity(0)),
            arguments=arguments,
            environment=environment_of_workers(counted_in=folder if settings.metrics_port is not None else None),
        )
        if settings.metrics_port is not None:
            registry = merged_registry(folder, workers.pids)
            serve_metrics(registry, host=settings.metrics_host, port=settings.metrics_port)
        status = workers.run()
    sys.exit(status)


if __name__ == "__main__":
    main()
