"""An exam is withdrawn, counts again, and is found by the number that is printed of it; the audit trail has each."""

from pathlib import Path

import pytest

from pipeline.edge.app import open_app
from pipeline.edge.operations.exam_corrections import ExamNotFoundError, find_exam, split, undo_withdrawal, withdraw
from pipeline.edge.store import audit_trail
from pipeline.edge.store.audit_trail import Event
from tests.factories.answered_exams import follow_all, l1_l4, receive


def test_an_exam_is_withdrawn_once_and_counts_again_once(folder: Path) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10"), "2.25.1")
        follow_all(app)
        number = find_exam(app.database, "e1")
        assert withdraw(app.database, number, "another patient")
        assert not withdraw(app.database, number, "another patient")
        assert undo_withdrawal(app.database, number)
        assert not undo_withdrawal(app.database, number)
        assert split(app.database, number) == [], "it is of one visit"
        with app.database.read() as connection:
            entries = [one.entry for one in audit_trail.find(connection) if one.entry.event is Event.WITHDRAWN]
    assert [(entry.exam, entry.detail) for entry in entries] == [
        (number, {"reason": "another patient", "undo": False}),
        (number, {"reason": "", "undo": True}),
    ]


@pytest.mark.parametrize("text", ["1", "E2", "D1", "E", "E1 ", "one", "E" + "9" * 18])
def test_what_names_no_exam_on_file_is_refused(folder: Path, text: str) -> None:
    with open_app(folder) as app:
        receive(app, l1_l4("0.950", study="2.25.10"), "2.25.1")
        follow_all(app)
        with pytest.raises(ExamNotFoundError, match="exams are written as E12"):
            find_exam(app.database, text)
