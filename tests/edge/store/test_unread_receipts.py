"""Whose an object is that cannot be read: the id stands in its bytes, and a short one in the element Patient ID."""

from pathlib import Path

import pytest

from pipeline.edge.app import App, open_app
from pipeline.edge.store import receipts
from pipeline.edge.store.unread_receipts import Whose, unread_receipts_of
from tests.factories.answered_exams import LONG_AGO, in_both_databases, l1_l4
from tests.factories.damaged_contents import damage_content, damages
from tests.factories.instances import instance
from tests.factories.reports import encode

END_OF_HEADER = b"\x20\x00\x0d\x00"
"""The tag of Study Instance UID: what is cut off there cannot be read."""


def _keep_cut_short(app: App, uid: str, **header: str) -> int:
    sent = l1_l4("0.9", study="2.25.1", SOPInstanceUID=uid, **header)
    whole = encode(sent)
    part = whole[: whole.index(END_OF_HEADER) + 6]
    with app.database.write() as connection:
        receipts.store(connection, instance(part, uid=uid), calling_ae_title="SCANNER1", at=LONG_AGO, historical=False)
        (number,) = connection.exec_driver_sql("SELECT max(id) FROM receipt").one()
    return int(number)


def _of(app: App, patient_id: str) -> frozenset[int]:
    with app.database.read() as connection:
        return unread_receipts_of(connection, Whose(identities=[(patient_id, "")], uids=())).theirs


@pytest.mark.parametrize("patient_id", ["12", "P-12345678"])
def test_an_object_that_cannot_be_read_is_of_the_patient_whose_id_it_has(folder: Path, patient_id: str) -> None:
    with open_app(folder) as app:
        number = _keep_cut_short(app, "2.25.2", PatientID=patient_id)
        assert _of(app, patient_id) == {number}


def test_a_short_id_elsewhere_in_an_object_makes_it_nobodys(folder: Path) -> None:
    with open_app(folder) as app:
        _keep_cut_short(app, "2.25.3", PatientID="P2", PatientName="Room 12^Somebody", AccessionNumber="12")
        assert _of(app, "12") == frozenset()
        assert _of(app, "P") == frozenset()


@in_both_databases
@damages
def test_damaged_bytes_are_told_as_nobodys_and_the_others_are_looked_into(folder: Path, damage: bytes | None) -> None:
    with open_app(folder) as app:
        numbers = [_keep_cut_short(app, f"2.25.{uid}", PatientID="P-12345678") for uid in (2, 3, 4)]
        with app.database.write() as connection:
            damage_content(connection, numbers[1], damage)
        with app.database.read() as connection:
            found = unread_receipts_of(connection, Whose(identities=[("P-12345678", "")], uids=()))
    assert found == (frozenset({numbers[0], numbers[2]}), frozenset({numbers[1]}))
