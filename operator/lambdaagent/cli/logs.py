"""Logging of every process: one line per state change, as JSON or text, always on standard error.

Records of libraries that use the standard logging (kopf, pika, asyncio) have the same form.
"""

import logging
import sys

import structlog
from structlog.typing import Processor

from lambdaagent import log_context


def configure(*, level: str, form: str) -> None:
    """Configure logging; `form` is json or text."""
    shared: list[Processor] = [
        log_context.add,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            # Not rich's traceback: it prints local variables, and some of them are secrets.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    exceptions: list[Processor] = [structlog.processors.format_exc_info] if form == "json" else []
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *exceptions, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These log much below warning, and only about themselves.
    for name in ("kopf", "pika", "asyncio", "watchfiles", "aiohttp.access"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
