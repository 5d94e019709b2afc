"""What may a log line say? What happened to which receipt, exam or addendum; nothing about a patient."""

import io
import logging
import sys

from pipeline.edge.errors import describe_error

NAMES = (
    "receipt",
    "exam",
    "addendum",
    "destination",
    "caller",
    "new",
    "overall",
    "reason",
    "detail",
    "count",
    "seconds",
    "child",
    "status",
)
"""The particulars a line may carry; any other is left out."""

_OURS = ("pipeline", "flows", "dxatrend")

_TOLD_BY_OURSELVES = (
    *("acse", "dimse", "dimse_messages", "dimse_primitives", "dul", "fsm"),
    *("pdu", "pdu_items", "pdu_primitives", "presentation", "transport", "utils", "_validators"),
)
"""Parts of pynetdicom that complain of each broken PDU; of those we tell in our own words, and not of every one."""


class _Formatter(logging.Formatter):
    """One line per event: when, how grave, what, and the particulars as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage() if record.name.split(".")[0] in _OURS else _of_a_library(record)
        if record.exc_info and record.exc_info[1]:
            message += f" ({describe_error(record.exc_info[1])})"
        particulars = "".join(
            f" {name}={value}" for name in NAMES if (value := getattr(record, name, None)) is not None
        )
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        return f"{stamp} {record.levelname:<8} {message}{particulars}"


def to_standard_error(level: int = logging.INFO) -> None:
    """Send this process's log to standard error, and keep everything else that libraries print to themselves."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Warnings of the DICOM libraries quote the values they complain of.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.CRITICAL)
    for library in ("pydicom", "pynetdicom", "highdicom", "alembic", "httpx", "httpcore", "prefect", "sqlalchemy"):
        logging.getLogger(library).setLevel(logging.ERROR)
    for part in _TOLD_BY_OURSELVES:
        logging.getLogger(f"pynetdicom.{part}").setLevel(logging.CRITICAL)


def escape_what_cannot_be_printed() -> None:
    """A letter that the terminal lacks, or a file name of bytes that are no text, is escaped and ends no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _of_a_library(record: logging.LogRecord) -> str:
    """A library's complaint may quote a patient, so only its place is told."""
    return f"{record.name} complains at {record.filename}:{record.lineno}"
