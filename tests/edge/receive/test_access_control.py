"""What a peer may do follows from its AE title, address and certificate, and nothing else."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.section import TlsSettings
from pipeline.edge.configuration.service_settings import CallerSettings, ListenerSettings
from pipeline.edge.dicom_net.admission import (
    CALLED_AE_TITLE_NOT_RECOGNISED,
    CALLING_AE_TITLE_NOT_RECOGNISED,
    Rejection,
    Requestor,
)
from pipeline.edge.receive.access_control import AccessControl, Role
from pipeline.edge.receive.rejected_callers import RejectedCallers
from pipeline.edge.store.database import Database

HERE, THERE = "192.0.2.1", "192.0.2.2"
NO_ROLE = Role(sends_reports=False, commits_for=(), sends_history=False)
SCANNER = Role(sends_reports=True, commits_for=(), sends_history=False)

CALLERS = (
    CallerSettings(ae_title="SCANNER1", host=HERE),
    CallerSettings(ae_title="ANYWHERE"),
    CallerSettings(ae_title="BOUND", certificate="Scanner"),
    CallerSettings(ae_title="PACS", host=HERE),
)
DESTINATIONS = (
    DicomDestination(name="pacs", ae_title="PACS", host=HERE, port=104, proof="commitment"),
    DicomDestination(name="mirror", ae_title="PACS", host=HERE, port=105, proof="commitment"),
    DicomDestination(name="archive", ae_title="ARCHIVE", host=HERE, port=104, history=True),
    DicomDestination(name="fetched", ae_title="FETCHED", host=HERE, port=104, history=True, retrieve="get"),
    DicomDestination(name="silent", ae_title="SILENT", host=HERE, port=104),
)


@pytest.fixture
def access_control(database: Database, tmp_path) -> Iterator[AccessControl]:
    file = tmp_path / "any.pem"
    settings = ListenerSettings(caller=CALLERS, tls=TlsSettings(certificate=file, key=file, ca=file))
    with (
        closing(RejectedCallers(database)) as rejected_callers,
        closing(AccessControl(settings, DESTINATIONS, rejected_callers)) as access_control,
    ):
        yield access_control


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("ae_title", "host", "certificate", "role"),
    [
        ("SCANNER1", HERE, "", SCANNER),
        ("SCANNER1", THERE, "", NO_ROLE),
        ("ANYWHERE", THERE, "", SCANNER),
        ("BOUND", HERE, "scanner", SCANNER),
        ("BOUND", HERE, "other", NO_ROLE),
        ("PACS", HERE, "", Role(sends_reports=True, commits_for=("pacs", "mirror"), sends_history=False)),
        ("PACS", THERE, "", NO_ROLE),
        ("ARCHIVE", HERE, "", Role(sends_reports=False, commits_for=(), sends_history=True)),
        ("FETCHED", HERE, "", NO_ROLE),
        ("SILENT", HERE, "", NO_ROLE),
        ("", HERE, "", NO_ROLE),
    ],
)
def test_a_peer_has_the_role_it_is_configured_for(
    access_control: AccessControl, ae_title: str, host: str, certificate: str, role: Role
) -> None:
    assert access_control.role_of(ae_title, host, frozenset([certificate])) == role


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("called", "calling", "certificate", "rejection"),
    [
        ("DXATREND", "SCANNER1", "", None),
        ("DXATREND", "ARCHIVE", "", None),
        ("DXATREND", "BOUND", "scanner", None),
        ("DXATREND", "BOUND", "other", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("DXATREND", "STRANGER", "", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("ANYBODY", "SCANNER1", "", CALLED_AE_TITLE_NOT_RECOGNISED),
        ("ANYBODY", "STRANGER", "", CALLED_AE_TITLE_NOT_RECOGNISED),
    ],
)
def test_only_a_peer_with_a_role_that_calls_our_title_is_admitted(
    access_control: AccessControl, called: str, calling: str, certificate: str, rejection: Rejection | None
) -> None:
    requestor = Requestor(called=called, calling=calling, host=HERE, certificate=frozenset([certificate]))
    assert access_control.admit(requestor) == rejection


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_caller_that_only_echoes_is_admitted_and_may_do_nothing_else(database: Database):
    settings = ListenerSettings(caller=(CallerSettings(ae_title="MONITOR", host=HERE, echo_only=True),))
    with closing(RejectedCallers(database)) as rejected, closing(AccessControl(settings, (), rejected)) as control:
        requestor = Requestor(called="DXATREND", calling="MONITOR", host=HERE, certificate=frozenset())
        assert control.admit(requestor) is None
        role = control.role_of("MONITOR", HERE)
        assert role == Role(sends_reports=False, commits_for=(), sends_history=False, echoes=True)


@pytest.mark.parametrize("given", [{"port": 104}, {"serial_numbers": ("DF+1",)}])
def test_a_caller_that_only_echoes_has_nothing_that_belongs_to_reports(given: dict[str, object]):
    with pytest.raises(ValueError, match="with echo_only it sends no reports"):
        CallerSettings.model_validate({"ae_title": "MONITOR", "host": HERE, "echo_only": True, **given})
