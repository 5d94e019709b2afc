"""Whoever calls another application entity learns whether it is there, and why not."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from pydicom.uid import EnhancedSRStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.events import EventHandlerType
from pynetdicom.sop_class import StorageCommitmentPushModel, StudyRootQueryRetrieveInformationModelFind, Verification

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.service_settings import CallerSettings
from pipeline.edge.dicom_net.client import associate, back_off, echo
from pipeline.edge.peer_problems import PeerUnavailableError
from tests import peers


def _to(port: int, *, ae_title: str = "PACS") -> DicomDestination:
    return DicomDestination(name="pacs", ae_title=ae_title, host=peers.LOOPBACK, port=port)


@contextmanager
def _peer(*handlers: EventHandlerType, knows: str = "") -> Iterator[int]:
    """An application entity on a free port; it rejects callers other than the one it ``knows``, if any."""
    ae = AE(ae_title="PACS")
    ae.require_calling_aet = [knows] if knows else []
    for sop_class in (Verification, StudyRootQueryRetrieveInformationModelFind):
        ae.add_supported_context(sop_class)
    ae.add_supported_context(EnhancedSRStorage, ExplicitVRLittleEndian)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    port = peers.free_port()
    server = ae.start_server((peers.LOOPBACK, port), block=False, evt_handlers=list(handlers))
    try:
        yield port
    finally:
        server.shutdown()


def test_an_echo_shows_whether_a_destination_answers(orthanc: peers.Orthanc) -> None:
    echo(_to(orthanc.dicom_port, ae_title="ORTHANC"), "DXATREND")
    with pytest.raises(PeerUnavailableError):
        echo(_to(orthanc.dicom_port, ae_title="SOMEBODY"), "DXATREND")


def test_an_echo_that_is_answered_with_a_failure_is_none() -> None:
    with _peer((evt.EVT_C_ECHO, lambda event: 0x0122)) as port, pytest.raises(PeerUnavailableError, match="0x0122"):
        echo(_to(port), "DXATREND")


def test_a_peer_that_does_not_know_us_is_named_as_such() -> None:
    with (
        _peer(knows="SOMEBODY") as port,
        pytest.raises(PeerUnavailableError, match="not know our AE title DXATREND"),
    ):
        echo(_to(port), "DXATREND")


def test_nobody_there_is_no_association() -> None:
    with pytest.raises(PeerUnavailableError, match="nobody listens at"):
        echo(_to(peers.free_port()), "DXATREND")


def test_we_are_the_scp_of_what_we_say_we_are() -> None:
    """A result of storage commitment can be sent to a scanner that we call (PS3.7 D.3.3.4)."""
    with _peer() as port:
        scanner = CallerSettings(ae_title="PACS", host=peers.LOOPBACK, port=port)
        called = associate(scanner, "DXATREND", [EnhancedSRStorage], as_scp=[StorageCommitmentPushModel])
        with called as association:
            roles = {context.abstract_syntax: context.as_scp for context in association.accepted_contexts}
    assert roles == {Verification: False, EnhancedSRStorage: False, StorageCommitmentPushModel: True}


def test_an_association_is_released_when_its_block_ends_however_that_ends() -> None:
    ends: list[str] = []
    with _peer((evt.EVT_RELEASED, lambda event: ends.append("released"))) as port:
        with pytest.raises(ZeroDivisionError), associate(_to(port), "DXATREND"):
            raise ZeroDivisionError
        peers.wait_until(lambda: ends == ["released"], what="it is released")


def test_waits_grow_to_their_limit_and_no_further() -> None:
    longest = timedelta(hours=1)
    waits = [back_off(attempts, longest) for attempts in range(1, 40)]
    assert waits[0] < timedelta(seconds=2)
    assert all(later > earlier * 1.2 for earlier, later in itertools.pairwise(waits[:11]))
    assert max(waits) <= longest * 1.2
