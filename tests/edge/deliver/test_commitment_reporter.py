"""A scanner that can be called hears what we keep of its objects in the end, and never more than is so."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage
from sqlalchemy import Delete, Update, delete, update

from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.service_settings import Engine
from pipeline.edge.deliver.commitment_reporter import report_due
from pipeline.edge.dicom_net.tls import for_listener
from pipeline.edge.store import held_work
from pipeline.edge.store.schema import commitment_request, receipt, receipt_content
from tests import peers
from tests.factories.certificates import Authority
from tests.factories.commitment_scanner import KEPT, Scanner, app_with_scanner, caller_of, uids_in, waiting_requests
from tests.factories.instances import NOW


@pytest.fixture
def scanner() -> Scanner:
    return Scanner(peers.free_port())


@pytest.fixture
def app(engine: Engine, tmp_path: Path, scanner: Scanner) -> Iterator[App]:
    """An application that can call the scanner, and keeps one object."""
    with app_with_scanner(engine, tmp_path, scanner, called=True) as app:
        yield app


def test_a_scanner_with_a_port_hears_the_result_on_an_association_of_ours(app: App, scanner: Scanner) -> None:
    assert scanner.ask((EnhancedSRStorage, KEPT)) == 0x0000
    with scanner.listening():
        report_due(app, caller_of(app))
    ((event_type, result),) = scanner.heard
    assert (event_type, result.TransactionUID, uids_in(result, "ReferencedSOPSequence")) == (1, "2.25.77", [KEPT])
    assert waiting_requests(app) == []


def test_a_scanner_that_speaks_tls_alone_is_called_over_tls(
    app: App, scanner: Scanner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path / "authority")
    theirs, ours = for_listener(authority.sign("scanner").settings), authority.sign("ours").settings
    assert scanner.ask((EnhancedSRStorage, KEPT)) == 0x0000
    with scanner.listening(theirs):
        report_due(app, caller_of(app))
        assert scanner.heard == []
        scanner.ask((EnhancedSRStorage, KEPT))
        report_due(app, caller_of(app).model_copy(update={"tls": ours}))
    assert [event_type for event_type, _ in scanner.heard] == [1]
    with scanner.listening(for_listener(Authority(tmp_path / "another").sign("scanner").settings)):
        scanner.ask((EnhancedSRStorage, KEPT))
        report_due(app, caller_of(app).model_copy(update={"tls": ours}))
    assert len(scanner.heard) == 1
    assert "signed by an authority that we do not know" in caplog.text


def test_only_what_is_kept_is_committed_and_the_rest_has_its_reason(app: App, scanner: Scanner) -> None:
    requested = [(EnhancedSRStorage, KEPT), (EnhancedSRStorage, "2.25.404"), (ComprehensiveSRStorage, KEPT)]
    scanner.ask(*requested)
    with scanner.listening():
        report_due(app, caller_of(app))
    ((event_type, result),) = scanner.heard
    assert event_type == 2
    assert uids_in(result, "ReferencedSOPSequence") == [KEPT]
    failed = [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in result.FailedSOPSequence]
    assert failed == [("2.25.404", 0x0112), (KEPT, 0x0119)]


def test_an_object_whose_bytes_are_no_longer_what_was_sent_is_not_committed(app: App, scanner: Scanner) -> None:
    """Each is read back: its pixels may have been dropped, or the disk may have lied."""
    with app.database.write() as connection:
        connection.execute(update(receipt).values(digest="0" * 64))
    scanner.ask((EnhancedSRStorage, KEPT))
    with scanner.listening():
        report_due(app, caller_of(app))
    assert [event_type for event_type, _ in scanner.heard] == [2]


def test_a_scanner_that_cannot_be_reached_hears_the_result_later_even_after_a_restart(
    app: App, scanner: Scanner, tmp_path: Path
) -> None:
    scanner.ask((EnhancedSRStorage, KEPT))
    report_due(app, caller_of(app))
    assert waiting_requests(app) == [1]
    with open_app(tmp_path) as restarted:
        with restarted.database.write() as connection:
            connection.execute(update(commitment_request).values(due_at=NOW))
        with scanner.listening():
            report_due(restarted, caller_of(restarted))
    assert len(scanner.heard) == 1
    assert waiting_requests(app) == []


def test_a_result_that_a_scanner_answers_with_a_failure_is_reported_again(app: App, scanner: Scanner) -> None:
    scanner.answer = 0x0110
    scanner.ask((EnhancedSRStorage, KEPT))
    with scanner.listening():
        report_due(app, caller_of(app))
    assert len(waiting_requests(app)) == 1


def test_the_same_request_again_is_kept_once_and_answered_again(app: App, scanner: Scanner) -> None:
    for _ in range(2):
        assert scanner.ask((EnhancedSRStorage, KEPT)) == 0x0000
    assert len(waiting_requests(app)) == 1
    with scanner.listening():
        report_due(app, caller_of(app))
        assert scanner.ask((EnhancedSRStorage, KEPT)) == 0x0000
        report_due(app, caller_of(app))
    assert len(scanner.heard) == 2


def test_an_object_named_again_and_again_is_read_back_once(app: App, scanner: Scanner) -> None:
    assert scanner.ask(*[(EnhancedSRStorage, KEPT)] * 500) == 0x0000
    with scanner.listening():
        report_due(app, caller_of(app))
    ((_, result),) = scanner.heard
    assert uids_in(result, "ReferencedSOPSequence") == [KEPT]


def test_a_request_over_which_we_fail_is_held_alone(app: App, scanner: Scanner) -> None:
    scanner.ask((EnhancedSRStorage, KEPT), transaction="2.25.71")
    scanner.ask((EnhancedSRStorage, KEPT), transaction="2.25.72")
    with app.database.write() as connection:
        connection.execute(update(commitment_request).where(commitment_request.c.id == 1).values(requested="[damaged"))
    with scanner.listening():
        report_due(app, caller_of(app))
    assert [result.TransactionUID for _, result in scanner.heard] == ["2.25.72"]
    with app.database.read() as connection:
        (held,) = held_work.held(connection)
    assert (held.number, held.reason) == ("C1", "unexpected")


@pytest.mark.parametrize("change", [update(receipt_content).values(content=b"damaged"), delete(receipt_content)])
def test_an_object_whose_bytes_cannot_be_read_back_at_all_is_not_committed(
    app: App, scanner: Scanner, change: Update | Delete
) -> None:
    with app.database.write() as connection:
        connection.execute(change)
    scanner.ask((EnhancedSRStorage, KEPT))
    with scanner.listening():
        report_due(app, caller_of(app))
    assert [event_type for event_type, _ in scanner.heard] == [2]


def test_orthanc_as_the_scanner_hears_what_we_keep(
    engine: Engine, tmp_path: Path, sample: Callable[[str], Path]
) -> None:
    """It sends one report, and asks for our commitment to that and to one we never got."""
    sent, unsent = sorted(sample(".").glob("*/*.dcm"))[:2]
    scanner = Scanner(peers.free_port(), ae_title="ORTHANC")
    for name in ("orthanc", "app"):
        (tmp_path / name).mkdir()
    with peers.orthanc(tmp_path / "orthanc", modalities={"DXATREND": scanner.listener_port}) as pacs:
        scanner.port = pacs.dicom_port
        for report in (sent, unsent):
            assert peers.storescu([report], port=pacs.dicom_port, called="ORTHANC").returncode == 0
        uids = {path: dcmread(path).SOPInstanceUID for path in (sent, unsent)}
        (known,) = pacs.find("Instance", SOPInstanceUID=uids[sent])
        both = pacs.find("Instance")
        with app_with_scanner(engine, tmp_path / "app", scanner, called=True) as app:
            pacs.post("modalities/DXATREND/store", [known])
            asked = [pacs.post("modalities/DXATREND/storage-commitment", {"Resources": ids}) for ids in ([known], both)]
            report_due(app, caller_of(app))
            peers.wait_until(
                lambda: all(pacs.rest(f"storage-commitment/{one['ID']}")["Status"] != "Pending" for one in asked),
                what="Orthanc has heard",
            )
            whole, part = [pacs.rest(f"storage-commitment/{one['ID']}") for one in asked]
            assert whole["Status"] == "Success"
            assert part["Status"] == "Failure"
            assert [one["SOPInstanceUID"] for one in part["Success"]] == [uids[sent]]
            assert [one["SOPInstanceUID"] for one in part["Failures"]] == [uids[unsent]]
