"""CeleryJobQueue: publishes a job's id by task name, without importing the task."""

from __future__ import annotations

from celery import Celery
from kombu.exceptions import KombuError
from kombu.exceptions import OperationalError as KombuOperationalError

from worker.app import QUEUE_BULK, QUEUE_INTERACTIVE, RUN_SLICE
from worker.errors import BrokerUnavailableError
from worker.jobs import Job, JobKind

_QUEUES = {JobKind.PAGE: QUEUE_INTERACTIVE, JobKind.EXPORT: QUEUE_BULK}
_CONFIRM_S = 2  # RabbitMQ's word that it has the message; Redis gives none
_QUICK = {
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
_QUICK_RABBITMQ = {"connect_timeout": 2, "read_timeout": 2, "write_timeout": 2, "max_retries": 1, "interval_start": 0}


def answer_quickly(app: Celery) -> None:
    """Have a process that only publishes give up on an absent broker in 2 s: a client waits at the other end."""
    quick = _QUICK if app.conf.broker_url.startswith("redis") else _QUICK_RABBITMQ
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, **quick}


class CeleryJobQueue:
    """The broker as a doorbell."""

    def __init__(self, app: Celery) -> None:
        self._app = app

    def publish(self, job: Job) -> None:
        """Ring once. A failure is reported, never retried here: the job is stored, and the sweeper rings again."""
        try:
            self._app.send_task(
                RUN_SLICE,
                args=[job.job_id],
                queue=_QUEUES[job.kind],
                retry=False,
                ignore_result=True,
                confirm_timeout=_CONFIRM_S,
            )
        except (KombuError, KombuOperationalError, OSError) as error:
            raise BrokerUnavailableError from error
