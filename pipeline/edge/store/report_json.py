"""Extracted reports as JSON, as the column ``reading.report`` holds them."""

from pydantic import TypeAdapter

from pipeline.sr.extract.report import Report

_REPORT = TypeAdapter(Report)


def write_report(report: Report) -> str:
    """Return a report as JSON."""
    return _REPORT.dump_json(report).decode()


def read_report(text: str) -> Report:
    """Return the report that was written as this JSON."""
    return _REPORT.validate_json(text)
