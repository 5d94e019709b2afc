"""The private and undocumented names of pynetdicom that we use: an upgrade that lacks one fails here by its name.

Where one is gone, mend what uses it, or serve with ``listener.engine = "pynetdicom"`` meanwhile.
"""

import ast
from pathlib import Path
from typing import Any

import pynetdicom.events
import pynetdicom.fsm
import pytest
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.transport import AssociationSocket

from pipeline.edge.dicom_net.bare_association import BareAssociation
from pipeline.edge.dicom_net.message_assembler import MessageAssembler
from pipeline.edge.dicom_net.upper_layer import EventDrivenUpperLayer
from tests.folders import ROOT

USED = {
    "events": "_INTERVENTION_EVENTS get_default_handler trigger",
    "fsm": "TRANSITION_TABLE",
    "Association": "_accepted_cx _rejected_cx _handlers _is_paused _sent_release _serve_request _abort_blocking acse"
    " dimse dul",
    "DULServiceProvider": "_decode_pdu _kill_thread _process_recv_primitive _recv_pdu artim_timer event_queue kill_dul"
    " peek_next_pdu receive_pdu send_pdu socket state_machine to_provider_queue",
    "DIMSEServiceProvider": "maximum_pdu_size msg_queue receive_primitive send_msg",
    "ACSE": "is_aborted is_release_requested negotiate_association send_reject send_release",
    "ServiceUser": "_user_info",
    "AssociationSocket": "_shutdown_socket close send",
    "C_STORE": "_affected_sop_class_uid _affected_sop_instance_uid _context_id",
}
"""By what has them: private names, and public ones that no page of pynetdicom's documentation describes."""

EVENTS = "Evt5 Evt6 Evt10 Evt17 Evt18 Evt19"
"""The events of PS3.8 Table 9-10 that we pass to its state machine by name."""


def _owners() -> dict[str, Any]:
    association = Association(AE(), "acceptor")
    return {
        "events": pynetdicom.events,
        "fsm": pynetdicom.fsm,
        "Association": association,
        "DULServiceProvider": association.dul,
        "DIMSEServiceProvider": association.dimse,
        "ACSE": association.acse,
        "ServiceUser": association.requestor,
        "AssociationSocket": AssociationSocket,
        "C_STORE": C_STORE(),
    }


@pytest.mark.parametrize(("owner", "name"), [(owner, name) for owner, names in USED.items() for name in names.split()])
def test_pynetdicom_has_the_name(owner: str, name: str) -> None:
    assert hasattr(_owners()[owner], name)


@pytest.mark.parametrize("event", EVENTS.split())
def test_pynetdicoms_state_machine_has_the_event(event: str) -> None:
    assert event in {known for known, _ in pynetdicom.fsm.TRANSITION_TABLE}


def test_an_association_of_ours_lacks_no_attribute_that_pynetdicoms_has() -> None:
    """But for those that its constructor leaves to the class derived from it."""
    theirs, ours = Association(AE(), "acceptor"), BareAssociation(AE())
    assert vars(theirs).keys() - vars(ours).keys() == {"dul", "dimse", "_handlers", "_is_paused"}
    nowhere: Any = None
    assert vars(theirs.dul).keys() <= vars(EventDrivenUpperLayer(ours, nowhere)).keys()
    assert vars(theirs.dimse).keys() <= vars(MessageAssembler(ours, nowhere)).keys()


def test_every_private_name_that_the_code_uses_is_listed() -> None:
    trees = [ast.parse(path.read_text()) for path in _that_import_pynetdicom()]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    attributes = [node for node in nodes if isinstance(node, ast.Attribute)]
    ours = {node.name for node in nodes if isinstance(node, ast.FunctionDef)} | {
        node.attr
        for node in attributes
        if isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name) and node.value.id == "self"
    }
    used = {node.attr for node in attributes if node.attr.startswith("_")}
    listed = {name for names in USED.values() for name in names.split()}
    assert {name for name in used - ours if not name.startswith("__")} <= listed


def _that_import_pynetdicom() -> list[Path]:
    return [path for path in (ROOT / "pipeline").rglob("*.py") if "from pynetdicom" in path.read_text()]
