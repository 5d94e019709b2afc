"""Every table is either linked to patients, so that it is exported and erased, or known to hold none of their data."""

from sqlalchemy import Table

from pipeline.edge.store.erasure_schema import erased_object
from pipeline.edge.store.patient_rows import LINKS
from pipeline.edge.store.schema import addendum, exam, patient, receipt
from pipeline.edge.store.schema_base import metadata

NOT_OF_PATIENTS = {
    "alarm": "names no patient (kinds of alarms, scanners, destinations)",
    "alarm_message": "the same, as sent",
    "alarm_shelf": "the same, with the reason of a person for silence",
    "alarm_watch": "times",
    "audit_cursor": "how far a receiver has the trail",
    "audit_cut": "the digest of a seal",
    "desk_account": "those who use the desk",
    "desk_session": "those who use the desk; its message is emptied by an erasure",
    "desk_throttle": "those who log in",
    "erased_object": "hashes, of what was erased",
    "erasure": "counts of what was erased",
    "housekeeping": "times",
    "installation_secret": "random bytes",
    "outage": "destinations",
    "process": "processes of ours",
    "qc_mark": "scanners",
    "qc_stop": "scanners",
    "caller_certificate": "callers, and the last day of their certificates",
    "refused_object": "callers, and why an object of theirs was refused",
    "register_decision": "precision studies",
    "register_record": "precision studies",
    "register_study": "a table that the department made; an erasure tells where an id is in one",
    "rejected_caller": "callers",
    "scanner": "scanners",
    "sender": "callers",
    "shard": "numbers of ours",
    "unidentified_scanner": "scanners",
}
"""Why each other table holds no data of patients. Whoever adds a table decides where it belongs."""


def test_every_table_is_linked_to_patients_or_known_to_hold_nothing_of_them() -> None:
    linked = {table.name for table in LINKS}
    assert not linked & NOT_OF_PATIENTS.keys()
    assert linked | NOT_OF_PATIENTS.keys() == metadata.tables.keys(), "is what is new here linked to patients?"


def test_every_table_that_refers_to_patients_is_linked_to_them() -> None:
    reached = {patient, receipt, exam, addendum}
    while more := {table for table in metadata.sorted_tables if _refers(table, reached)} - reached:
        reached |= more
    assert reached - LINKS.keys() == {erased_object}, "they are neither exported nor erased"


def _refers(table: Table, reached: set[Table]) -> bool:
    return any(key.column.table in reached for key in table.foreign_keys)
