"""An addendum is delivered when the archive says it has it, and never because nothing was said."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.deliver.sender import (
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnavailableError,
    DeliveryUnconfirmedError,
)
from pipeline.edge.deliver.storage_scu import deliver
from pipeline.edge.peer_problems import PeerUnavailableError
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.errors import DxatrendError
from pipeline.sr.dicom.reader import split_file
from tests import peers
from tests.factories.instances import NOW


@pytest.fixture
def addendum(sample: Callable[[str], Path]) -> AddendumOnFile:
    """Any Comprehensive SR will do: delivery does not look inside."""
    reports = (dcmread(path) for path in sorted(sample(".").glob("*/*.dcm")))
    report = next(report for report in reports if report.SOPClassUID == ComprehensiveSRStorage)
    return AddendumOnFile(
        number=1,
        exam_number=1,
        sop_class_uid=report.SOPClassUID,
        sop_instance_uid=report.SOPInstanceUID,
        digest="",
        overall="STABLE",
        authored_at=NOW,
        data_set=split_file(Path(str(report.filename)).read_bytes())[0],
    )


def _to(port: int, *, ae_title: str = "ORTHANC", proof: str = "none") -> DicomDestination:
    return DicomDestination.model_validate(
        {"name": "pacs", "ae_title": ae_title, "host": "127.0.0.1", "port": port, "proof": proof}
    )


@contextmanager
def _archive(answer: Callable[[evt.Event], int], *, transfer_syntax: str = ExplicitVRLittleEndian) -> Iterator[int]:
    """A PACS on a free port that answers each C-STORE by ``answer``."""
    ae = AE(ae_title="ORTHANC")
    ae.require_calling_aet = ["DXATREND"]
    ae.add_supported_context(Verification)
    ae.add_supported_context(ComprehensiveSRStorage, transfer_syntax)
    port = peers.free_port()
    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, answer)])
    yield port
    server.shutdown()


def _deliver(
    addendum: AddendumOnFile, to: DicomDestination, calling: str = "DXATREND"
) -> DeliveryError | PeerUnavailableError | None:
    try:
        (problem,) = deliver([addendum], to, calling)
    except PeerUnavailableError as unavailable:
        return unavailable
    return problem


@pytest.mark.parametrize("proof", ["none", "find"])
def test_orthanc_has_what_was_delivered_bit_for_bit(
    orthanc: peers.Orthanc, addendum: AddendumOnFile, proof: str
) -> None:
    assert _deliver(addendum, _to(orthanc.dicom_port, proof=proof)) is None
    (found,) = orthanc.find("Instance", SOPInstanceUID=addendum.sop_instance_uid)
    data_set, transfer_syntax = split_file(orthanc.file(found))
    assert (data_set, transfer_syntax) == (addendum.data_set, ExplicitVRLittleEndian)


def test_delivering_twice_leaves_one_in_the_archive(orthanc: peers.Orthanc, addendum: AddendumOnFile) -> None:
    for _ in range(2):
        assert _deliver(addendum, _to(orthanc.dicom_port)) is None
    assert len(orthanc.find("Instance", SOPInstanceUID=addendum.sop_instance_uid)) == 1


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xB000, 0xB006, 0xB007])
def test_success_duplicate_and_warning_mean_that_the_archive_has_it(addendum: AddendumOnFile, status: int) -> None:
    """0x0111: it is there already, which is what was wanted."""
    with _archive(lambda event: status) as port:
        assert _deliver(addendum, _to(port)) is None


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0xA700, DeliveryUnavailableError),  # out of resources: later
        (0xA701, DeliveryUnavailableError),
        (0xA900, DeliveryRefusedError),
        (0xC000, DeliveryRefusedError),
        (0xC123, DeliveryRefusedError),
        (0x0110, DeliveryRefusedError),
        (0x0117, DeliveryRefusedError),
        (0x0122, PeerUnavailableError),  # not set up for what we send: the next addendum would hear the same
        (0x0124, PeerUnavailableError),
    ],
)
def test_an_answer_that_says_no_is_not_success(
    addendum: AddendumOnFile, status: int, kind: type[DxatrendError]
) -> None:
    """A neighbouring system took any answer at all for success."""
    with _archive(lambda event: status) as port:
        problem = _deliver(addendum, _to(port))
    assert type(problem) is kind
    assert f"0x{status:04X}" in str(problem)


def test_no_answer_is_not_success(addendum: AddendumOnFile) -> None:
    def hang_up(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    with _archive(hang_up) as port:
        assert isinstance(_deliver(addendum, _to(port)), DeliveryUnavailableError)


def test_a_destination_that_is_away_is_reported_once_for_all_addenda(addendum: AddendumOnFile) -> None:
    with pytest.raises(PeerUnavailableError, match="nobody listens at"):
        list(deliver([addendum, addendum], _to(peers.free_port()), "DXATREND"))


def test_what_was_not_tried_because_the_association_ended_is_not_answered_for(addendum: AddendumOnFile) -> None:
    def hang_up(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    with _archive(hang_up) as port:
        (problem,) = deliver([addendum, addendum], _to(port), "DXATREND")
    assert isinstance(problem, DeliveryUnavailableError)


def test_an_archive_that_does_not_know_us_is_named_as_such(addendum: AddendumOnFile) -> None:
    with _archive(lambda event: 0x0000) as port:
        problem = _deliver(addendum, _to(port), calling="NOBODY")
    assert "it does not know our AE title NOBODY" in str(problem)


def test_an_archive_that_takes_no_such_object_refuses_it(addendum: AddendumOnFile) -> None:
    """It is the archive's configuration, and would be the same for any other addendum."""
    with _archive(lambda event: 0x0000, transfer_syntax=ImplicitVRLittleEndian) as port:
        problem = _deliver(addendum, _to(port))
    assert isinstance(problem, PeerUnavailableError)
    assert "Comprehensive SR Storage" in str(problem)


def test_what_cannot_be_found_afterwards_is_not_delivered(addendum: AddendumOnFile) -> None:
    """An archive without C-FIND cannot prove what it has."""
    with _archive(lambda event: 0x0000) as port:
        assert isinstance(_deliver(addendum, _to(port, proof="find")), DeliveryUnconfirmedError)


def test_one_refused_addendum_does_not_keep_the_next_from_delivery(addendum: AddendumOnFile) -> None:
    answers = itertools.chain([0xC000], itertools.repeat(0x0000))
    with _archive(lambda event: next(answers)) as port:
        problems = list(deliver([addendum, addendum], _to(port), "DXATREND"))
    assert isinstance(problems[0], DeliveryRefusedError)
    assert problems[1] is None
