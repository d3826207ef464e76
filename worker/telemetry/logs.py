"""Logs: events with fields, as text or one JSON object a line, from our code and from libraries alike."""

from __future__ import annotations

import logging
import logging.config
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.ExtraAdder(),
)
_OURS = ("worker", "api_shim")
_QUIET_LIBRARIES = (
    "pymongo",
    "amqp",
    "asyncio",
    "celery.beat",
    "celery.worker.strategy",
    "celery.app.trace",
)


def configure_logs(log_format: Literal["console", "json"], level: Literal["debug", "info", "warning"]) -> None:
    """Log to stderr in one format. Only our own loggers may go below info: libraries' lines hold whole URLs."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED[:-1],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # No format uses these, and looking them up takes as long as writing the line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=list(_SHARED), processors=_last(log_format))
    )
    logging.root.handlers = [handler]
    lowest = logging.getLevelNamesMapping()[level.upper()]
    logging.root.setLevel(max(lowest, logging.INFO))
    for name in _OURS:
        logging.getLogger(name).setLevel(lowest)
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings about malformed response headers hold the whole URL, which may contain a token.
    logging.getLogger("urllib3").setLevel(logging.ERROR)


def _last(log_format: Literal["console", "json"]) -> list[Processor]:
    clean = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if log_format == "json":
        return [clean, _without_colours, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    # Plain tracebacks: the default ones show local variables, tokens among them.
    return [
        clean,
        _without_colours,
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]


def _without_colours(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """Drop uvicorn's second, coloured copy of each message."""
    event.pop("color_message", None)
    return event
