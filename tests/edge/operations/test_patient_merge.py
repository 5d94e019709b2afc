"""Two patient ids are merged, and the merge is undone; what cannot be merged is refused, and changes nothing."""

from pathlib import Path

import pytest

from pipeline.clinical.model import Patient
from pipeline.edge.app import open_app
from pipeline.edge.operations.patient_merge import PatientMergeError, merge, unmerge
from pipeline.edge.store import audit_trail, patients
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import Database
from tests.factories.answered_exams import follow_all, l1_l4, latest_readback, receive

OLD, NEW, OTHER = (Patient(patient_id=text, issuer="") for text in ("OLD", "NEW", "OTHER"))


def test_a_merge_and_its_undoing_tell_whose_exams_to_examine_again(database: Database) -> None:
    with database.write() as connection:
        old, new, _ = (patients.number_of(connection, one.patient_id, "") for one in (OLD, NEW, OTHER))
    assert len(merge(database, OLD, NEW)) == 1, "one group of linked patients"
    for one, other in ((OLD, NEW), (OLD, OTHER)):
        with pytest.raises(PatientMergeError, match="one patient already"):
            merge(database, one, other)
    with pytest.raises(PatientMergeError, match="OLD was not merged into NEW"):
        unmerge(database, NEW, OLD)
    with pytest.raises(PatientMergeError, match="nothing is on file about NEW"):
        merge(database, OTHER, Patient(patient_id="NOBODY", issuer=""))
    assert len(unmerge(database, OLD, NEW)) == 2
    with database.read() as connection:
        entries = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.MERGED]
    assert [(entry.patient, entry.detail["undo"]) for entry in entries] == [(new, False), (new, True)]
    assert {entry.detail["old"] for entry in entries} == {old}


def test_a_merge_at_the_desk_makes_the_exams_of_both_due(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10", date="20220101", PatientID="OLD"), "2.25.1")
        receive(app, l1_l4("0.900", study="2.25.11", date="20240101", PatientID="NEW"), "2.25.2")
        follow_all(app)
        merge(app.database, OLD, NEW, make_due=True)
        follow_all(app)
        assert latest_readback(app, 2).regions["L1-L4"]["PRIOR_BMD"] == ("0.950",)
        unmerge(app.database, OLD, NEW, make_due=True)
        follow_all(app)
        assert "PRIOR_BMD" not in latest_readback(app, 2).regions["L1-L4"]
