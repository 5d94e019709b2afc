"""Fill a store within minutes: the rows of one real patient, copied again and again.

One patient's exams go the real way, from receipt to addendum. Every other patient is a copy of those rows, made by the
database itself, with numbers, identifiers and dates of its own. What a report's bytes say is only rewritten for the
patients who get another exam, because that is what costs time.
"""

import functools
import sqlite3
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from sqlalchemy import Column, LargeBinary, String

from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.store import outbox, receipts
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.receipts import Instance
from pipeline.edge.store.schema_base import Instant, metadata
from tests.factories.reports import encode
from tests.folders import SAMPLES

VISITS = (2015, 2017, 2019)
"""The years of the exams each patient has on file."""

NEXT_VISIT = 2021

REGIONS = 6
"""In each of their reports."""

SECONDS_APART = 600
"""Between two patients' arrivals, so that a day has as many exams however many days there were: some 400."""

UID_ROOT = "1.2.826.0.1.3680043.8.498"
"""How the identifiers of every generated report begin."""

_REPORT = SAMPLES / "08-excluded-vertebra" / "2021-04-29-1.dcm"
_FIRST = 10_000_000
_STEP = 10_000
_NOT_COPIED = {"scanner", "sender", "process", "housekeeping", "audit", "audit_seal", "audit_cut", "audit_cursor"}
"""Tables whose rows belong to no patient, and the trail, which is only added to."""

_DAY_OF_VISIT = "0429"


@contextmanager
def archive(patients: int, *, rewrite_every: int = 1, settings: str = "") -> Iterator[App]:
    """An app whose store holds three exams of each of so many patients, with their addenda, all delivered.

    Of every so many patients one's bytes are rewritten: those may have a ``next_report``.
    """
    with tempfile.TemporaryDirectory(prefix="dxatrend-bench-") as name:
        folder = Path(name)
        _configure(folder, settings)
        with open_app(folder) as app:
            for year in VISITS:
                receive(app, report(0, year))
                work_off(app)
            with app.database.write() as connection:
                for waiting in outbox.deliveries(
                    connection, outbox.claim(connection, "pacs", limit=len(VISITS), at=datetime.now(UTC))
                ):
                    outbox.record_delivery(connection, waiting.number, proof="none", at=datetime.now(UTC))
            _copy(folder / "store.sqlite3", patients, rewrite_every)
            app.database.optimize()
            yield app


def report(patient: int, year: int = NEXT_VISIT) -> Instance:
    """The report of one patient's visit; unless told otherwise of the one that is not on file."""
    uid = f"{UID_ROOT}.{_FIRST}.{year}.3"
    return Instance(
        sop_class_uid=str(_template(year).SOPClassUID),
        sop_instance_uid=uid.replace(str(_FIRST), str(_FIRST + patient)),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        data_set=_encoded(year)
        .replace(str(_FIRST).encode(), str(_FIRST + patient).encode())
        .replace(_time_of(0).encode(), _time_of(patient).encode()),
    )


def _time_of(patient: int) -> str:
    """When a patient was scanned: two at the same second, who measure the same, would be one scan under two names."""
    second = (86_399 - patient) % 86_400
    return f"{second // 3600:02}{second // 60 % 60:02}{second % 60:02}"


def patient_id(patient: int) -> str:
    """The Patient ID in one patient's reports."""
    return f"P{_FIRST + patient}"


def receive(app: App, instance: Instance) -> None:
    """Keep it as the listener does."""
    with app.database.write() as connection:
        receipts.store(connection, instance, calling_ae_title="SCANNER1", at=datetime.now(UTC))


def work_off(app: App) -> ExamCounts:
    """Read and follow up whatever waits, as the worker does without Prefect."""
    while extract_waiting(app):
        pass
    tally = ExamCounts()
    while numbers := claim_due(app.database, 50):
        tally += follow_up(app, numbers)
    return tally


@functools.cache
def _template(year: int) -> Dataset:
    made = dcmread(_REPORT)
    made.PatientID = patient_id(0)
    del made.IssuerOfPatientID  # few scanners send it, and without it a patient is harder to find
    made.StudyInstanceUID, made.SeriesInstanceUID, made.SOPInstanceUID = (
        f"{UID_ROOT}.{_FIRST}.{year}.{level}" for level in (1, 2, 3)
    )
    made.StudyTime = _time_of(0)
    made.PatientAge = f"{year - int(made.PatientBirthDate[:4]):03}Y"
    for keyword in ("StudyDate", "SeriesDate", "ContentDate", "AcquisitionDate"):
        if keyword in made:
            made[keyword].value = f"{year}{_DAY_OF_VISIT}"
    return made


@functools.cache
def _encoded(year: int) -> bytes:
    return encode(_template(year), ExplicitVRLittleEndian)


def _configure(folder: Path, settings: str) -> None:
    for name in ("scanners.toml", "precision.toml"):
        (folder / name).symlink_to(SAMPLES / name)
    (folder / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{folder}/store.sqlite3"
        [exam]
        settle_seconds = 0
        late_days = 36500
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 11113
        {settings}
        """)


def _copy(path: Path, patients: int, rewrite_every: int) -> None:
    """Copy the first patient's rows until there are so many patients."""
    store = sqlite3.connect(path, isolation_level=None)
    store.create_function("rewritten", 2, _rewritten)
    for pragma in ("synchronous = OFF", "cache_size = -200000", "foreign_keys = OFF"):
        store.execute(f"PRAGMA {pragma}")
    tables = [table for table in metadata.sorted_tables if table.name not in _NOT_COPIED]
    for table in tables:
        store.execute(f"CREATE TEMP TABLE first_{table.name} AS SELECT * FROM {table.name}")
    rows = {table.name: store.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0] for table in tables}
    for first in range(1, patients, _STEP):
        store.execute("BEGIN")
        for table in tables:
            names = ", ".join(column.name for column in table.columns)
            values = ", ".join(_copied(column, rows, patients, rewrite_every) for column in table.columns)
            store.execute(
                f"WITH RECURSIVE copy(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM copy WHERE n < ?) "
                f"INSERT INTO {table.name} ({names}) SELECT {values} FROM copy CROSS JOIN first_{table.name}",
                (min(first + _STEP, patients) - 1,),
            )
        store.execute("COMMIT")
    store.close()


def _copied(column: Column[Any], rows: Mapping[str, int], patients: int, rewrite_every: int) -> str:
    """In SQL, what the n-th copy has where the first patient has this column."""
    name = column.name
    for key in column.foreign_keys:
        return f"{name} + n * {rows.get(key.column.table.name, 0)}"
    if name == "id":
        return f"id + n * {rows[column.table.name]}"
    match column.type:
        case Instant():
            ago = f"'-' || (({patients} - n) * {SECONDS_APART}) || ' seconds'"
            return f"strftime('%Y-%m-%d %H:%M:%S.000000', {name}, {ago})"
        case LargeBinary():
            return f"CASE n % {rewrite_every} WHEN 0 THEN rewritten({name}, n) ELSE {name} END"
        case String():
            replaced = f"replace({name}, '{_FIRST}', {_FIRST} + n)"
            if name == "sop_instance_uid":  # an addendum's is derived from what it says
                return f"iif(instr({name}, '{_FIRST}'), {replaced}, {name} || '.' || n)"
            return replaced
    return name


def _rewritten(content: bytes, patient: int) -> bytes:
    return zlib.compress(_decompressed(content).replace(str(_FIRST).encode(), str(_FIRST + patient).encode()), 1)


_decompressed = functools.lru_cache(zlib.decompress)
