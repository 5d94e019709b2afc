"""Logging to standard error: what happened to which receipt, exam or addendum, and nothing about a patient."""

import logging
import sys

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
"""The fields of a record that are logged; all others are left out."""

_OURS = ("pipeline", "flows", "dxatrend")

_LOGGED_BY_US = (
    *("acse", "dimse", "dimse_messages", "dimse_primitives", "dul", "fsm"),
    *("pdu", "pdu_items", "pdu_primitives", "presentation", "transport", "utils", "_validators"),
)
"""Parts of pynetdicom that log each broken PDU; we log those ourselves, at a limited rate."""

_LIBRARIES = ("pydicom", "pynetdicom", "highdicom", "alembic", "httpx", "httpcore", "prefect", "sqlalchemy", "uvicorn")
"""What they log below an error may quote a patient, and is of no use to an administrator."""


class _Formatter(logging.Formatter):
    """Formats a record as one line: time, level, message and fields as name=value."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage() if record.name.split(".")[0] in _OURS else _library_message(record)
        if record.exc_info and record.exc_info[1]:
            from pipeline.edge.errors import describe_error  # noqa: PLC0415 - imports SQLAlchemy; --help logs nothing

            message += f" ({describe_error(record.exc_info[1])})"
        fields = "".join(f" {name}={value}" for name in NAMES if (value := getattr(record, name, None)) is not None)
        stamp = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        return f"{stamp} {record.levelname:<8} {message}{fields}"


def to_standard_error(level: int = logging.INFO) -> None:
    """Log to standard error, and silence what libraries would log or warn about below an error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # Warnings of the DICOM libraries quote the values they warn about.
    logging.captureWarnings(True)
    logging.getLogger("py.warnings").setLevel(logging.CRITICAL)
    for library in _LIBRARIES:
        logging.getLogger(library).setLevel(logging.ERROR)
    for part in _LOGGED_BY_US:
        logging.getLogger(f"pynetdicom.{part}").setLevel(logging.CRITICAL)


def _library_message(record: logging.LogRecord) -> str:
    """Return only where a library logged: its message may quote a patient."""
    return f"{record.name} logged a message at {record.filename}:{record.lineno}"
