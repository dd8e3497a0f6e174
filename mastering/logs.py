"""Log lines: fields instead of sentences, on standard error, for people or as JSON.

What people entrust to the service stays out of the log. Nobody logs a profile, a login, a token or the address of a request with its
query; and an exception is written as its type and where it was raised. Its message is not, since a message may quote the value it
complains of. Two kinds are excepted, whose first line names a table or a file and says what an operator has to mend.
"""

from __future__ import annotations

import logging
import sys
from traceback import extract_tb
from types import TracebackType
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError
from structlog.typing import EventDict, Processor

from mastering.settings import LogFormat

_LONGEST = 300


def configure(format: LogFormat) -> None:
    """Write log lines of this program and of the libraries under it in one format. May be called again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        tell_exception,
    ]
    render: Processor = structlog.processors.JSONRenderer() if format is LogFormat.json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[*shared, render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = _ToStandardError()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[_unadorned, render]))
    root = logging.getLogger()
    root.handlers = [kept for kept in root.handlers if not isinstance(kept, _ToStandardError)] + [handler]
    root.setLevel(logging.WARNING)


class _ToStandardError(logging.Handler):
    """Writes to whatever standard error is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        sys.stderr.write(self.format(record) + "\n")


def _unadorned(logger: Any, name: str, event: EventDict) -> EventDict:
    return dict(structlog.stdlib.ProcessorFormatter.remove_processors_meta(logger, name, event))


def tell_exception(_: Any, __: str, event: EventDict) -> EventDict:
    """A structlog processor: an exception as type and places, without a message that could hold somebody's data."""
    told = event.pop("exc_info", None)
    if told is True:
        told = sys.exc_info()[1]
    fault = told[1] if isinstance(told, tuple) else told
    if isinstance(fault, BaseException):
        event["fault"] = _summary(fault)
        event["raised_at"] = _places(fault.__traceback__)
    return event


def _summary(fault: BaseException) -> str:
    kinds = []
    cause: BaseException | None = fault
    while cause is not None:
        kinds.append(type(cause).__qualname__ + _message(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return " from ".join(kinds)


def _message(fault: BaseException) -> str:
    said = str(fault.orig) if isinstance(fault, DBAPIError) else str(fault) if isinstance(fault, OSError) else ""
    return f": {said.splitlines()[0][:_LONGEST]}" if said else ""


def _places(traceback: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(traceback)]
