"""Logging: what happened to which receipt, exam or addendum, and nothing about a patient.

There are three forms, and each tells the same: lines for people, JSON, and entries of systemd's journal.
"""

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import datetime

from dxatrend.cli import journal
from pipeline.edge.configuration.log_format import LOG_FORMAT_VARIABLE, LOG_FORMATS

NAMES = (
    "receipt",
    "exam",
    "commitment_request",
    "addendum",
    "destination",
    "caller",
    "new",
    "overall",
    "reason",
    "detail",
    "count",
    "proof",
    "attempts",
    "seconds",
    "child",
    "status",
)
"""The fields of a record that are logged; all others are left out."""

_OURS = ("pipeline", "flows", "dxatrend")

_LOGGED_BY_US = (
    *("acse", "dimse", "dimse_messages", "dimse_primitives", "dul", "fsm"),
    *("pdu", "pdu_items", "pdu_primitives", "presentation", "transport", "utils", "_validators"),
)
"""Parts of pynetdicom that log each broken PDU; we log those ourselves, at a limited rate."""

_NEVER = ("py.warnings", *(f"pynetdicom.{part}" for part in _LOGGED_BY_US))
"""Loggers of which nothing is logged: warnings of the DICOM libraries quote the values they warn about."""


def set_up(form: str | None, level: int = logging.INFO) -> None:
    """Log in a form, by default that of the environment, and silence what libraries would log below an error.

    Processes that this one starts log in the same form. Without any choice it is the journal's where standard error
    goes there, else text.
    """
    if form is not None:
        os.environ[LOG_FORMAT_VARIABLE] = form
    handler = _handler()
    handler.addFilter(_is_logged)
    logging.basicConfig(level=logging.ERROR, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for ours in _OURS:
        logging.getLogger(ours).setLevel(level)


def _is_logged(record: logging.LogRecord) -> bool:
    """Return whether a record is of use to an administrator: all of ours, and of libraries what is an error.

    What a library logs below may quote a patient. Some of them set a level of their own when they are imported.
    """
    if record.name.split(".")[0] in _OURS:
        return True
    return record.levelno >= logging.ERROR and record.name not in _NEVER


def _handler() -> logging.Handler:
    chosen = os.environ.get(LOG_FORMAT_VARIABLE, "")
    if chosen == "journal" or (chosen not in LOG_FORMATS and journal.is_standard_error(os.environ)):
        handler: logging.Handler = journal.JournalHandler(_journal_fields)
        handler.setFormatter(_PlainFormatter())
        return handler
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if chosen == "json" else _TextFormatter())
    return handler


class _PlainFormatter(logging.Formatter):
    """Formats a record as one line: message, and fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        failure = _failure(record)
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        return _one_line(f"{_message(record)}{f' ({failure})' if failure else ''}{fields}")


class _TextFormatter(_PlainFormatter):
    """Formats a record as one line that begins with time and level."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        return f"{stamp} {record.levelname:<8} {super().format(record)}"


class _JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        failure = _failure(record)
        values = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _one_line(_message(record)),
            **_fields(record),
            **({"exception": failure} if failure else {}),
        }
        return json.dumps(values, default=str)


def _journal_fields(record: logging.LogRecord) -> Mapping[str, object]:
    failure = _failure(record)
    return {"logger": record.name, **_fields(record), **({"exception": failure} if failure else {})}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name in NAMES if (value := getattr(record, name, None)) is not None}


def _failure(record: logging.LogRecord) -> str:
    """Return what may be said of an exception that is logged: its type and place, never its text."""
    if not (record.exc_info and record.exc_info[1]):
        return ""
    from pipeline.edge.errors import describe_error  # noqa: PLC0415 - imports SQLAlchemy; --help logs nothing

    return describe_error(record.exc_info[1])


def _message(record: logging.LogRecord) -> str:
    """Return the message of our own code; of a library only where it logged, as its message may quote a patient."""
    if record.name.split(".")[0] in _OURS:
        return record.getMessage()
    return f"{record.name} logged a message at {record.filename}:{record.lineno}"


def _one_line(text: str) -> str:
    return " ".join(text.splitlines())
