"""A scanner that sends any bytes in any SOP class and transfer syntax, as no library would."""

import time
from io import BytesIO

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.sop_class import Verification

REFUSED = None
"""What ``store`` answers where the listener does not take the SOP class in this transfer syntax."""


def store(port: int, data_set: bytes, *, sop_class: str, transfer_syntax: str, sop_instance: str) -> int | None:
    """Propose one context and store one data set in it; the status that came back, or ``REFUSED``."""
    ae = AE(ae_title="SCANNER1")
    ae.add_requested_context(UID(sop_class), UID(transfer_syntax))
    association = ae.associate("127.0.0.1", port, ae_title="DXATREND")
    if not association.is_established:
        return REFUSED
    request = C_STORE()
    request.MessageID = 1
    request.AffectedSOPClassUID = sop_class
    request.AffectedSOPInstanceUID = sop_instance
    request.Priority = 2
    request.DataSet = BytesIO(data_set)
    association._reactor_checkpoint.clear()  # else the association's own loop may take the answer
    while not association._is_paused:
        time.sleep(0.001)
    time.sleep(0.01)
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, answer = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    association.release()
    assert answer is not None, "the listener gave no answer"
    return int(answer.Status)


def is_alive(port: int) -> bool:
    """Whether the listener answers C-ECHO."""
    ae = AE(ae_title="SCANNER1")
    ae.add_requested_context(Verification)
    association = ae.associate("127.0.0.1", port, ae_title="DXATREND")
    answers = association.is_established and association.send_c_echo().Status == 0x0000
    association.release()
    return bool(answers)
