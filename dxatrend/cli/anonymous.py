"""``dxatrend show --anonymous``: a report for support, in which identity is replaced and everything else kept."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from dxatrend.cli.store_access import open_store
from pipeline.edge.dicom_files import FileLeftOutError
from pipeline.edge.operations.anonymous_report import AnonymousFileError, Written, find_reports, write_anonymous
from pipeline.edge.operations.exam_corrections import ExamNotFoundError
from pipeline.edge.text_files import printable
from pipeline.sr.anonymise.report import NotAnonymousError
from pipeline.sr.dicom.unreadable import UnreadableReportError


def write(options: argparse.Namespace) -> int:
    """Write each report that is named into a file of its own; fails where one of them was not written."""
    to, failed = options.to or Path(), False
    with open_store(options) as app:
        try:
            sources = find_reports(app, options.report)
        except (AnonymousFileError, ExamNotFoundError, FileLeftOutError, UnreadableReportError, OSError) as problem:
            print_errors(f"Nothing was written: {printable(problem)}")
            return FAILURE
        if len(sources) > 1 and not to.is_dir():
            print_errors(f"Nothing was written: {len(sources)} reports need a folder that is there already (--to)")
            return FAILURE
        for source in sources:
            name = "the file" if source.receipt is None else f"receipt {source.receipt}"
            try:
                print(*_told(write_anonymous(app, source, to=to), name), sep="\n")
            except NotAnonymousError as problem:
                failed = True
                print_errors(f"Nothing was written of {name}: it cannot be made anonymous: {printable(problem)}")
            except AnonymousFileError as problem:
                failed = True
                print_errors(f"Nothing was written of {name}: {printable(problem)}")
    return FAILURE if failed else SUCCESS


_MOST_NAMED = 12


def _told(written: Written, name: str) -> Iterator[str]:
    report = written.report
    yield f"{printable(written.path)}: {name} without identity, and read as before; only you may read the file."
    yield f"  replaced: {', '.join(f'{kind} ({count})' for kind, count in report.replaced.items())}"
    dropped = list(report.dropped)
    if report.has_black_pixel:
        yield "  blackened: the picture, which is one black pixel now"
    if dropped:
        more = f" and {len(dropped) - _MOST_NAMED} more" if len(dropped) > _MOST_NAMED else ""
        yield f"  left out: {', '.join(dropped[:_MOST_NAMED])}{more}"
    yield "  kept: measurements, regions, codes, times of day, the days between dates, age, sex, weight and height,"
    yield "    manufacturer, model and software. These may still tell who it is to somebody who knows the patient."
