"""Who asks again in the same bytes is answered in the same bytes; no caller fills the memory with requests."""

from typing import Any

from pynetdicom.pdu_primitives import A_ASSOCIATE

from pipeline.edge.dicom_net.acceptances import LONGEST_REQUEST, MOST_KEPT, Acceptance, Acceptances


def _acceptance(encoded: bytes) -> Acceptance:
    empty: dict[int, Any] = {}
    return Acceptance(request=A_ASSOCIATE(), answer=A_ASSOCIATE(), encoded=encoded, accepted=empty, rejected=())


def test_the_acceptance_of_the_same_bytes_is_found_and_of_no_others() -> None:
    acceptances = Acceptances()
    kept = _acceptance(b"answer")
    acceptances.add(b"request", kept)
    assert acceptances.find(b"request") is kept
    assert acceptances.find(b"requesT") is None


def test_no_caller_fills_the_memory_with_requests_and_who_asks_often_is_kept() -> None:
    acceptances = Acceptances()
    acceptances.add(b"often", _acceptance(b""))
    for number in range(10 * MOST_KEPT):
        acceptances.add(b"%d" % number, _acceptance(b""))
        assert acceptances.find(b"often") is not None
    acceptances.add(bytes(LONGEST_REQUEST + 1), _acceptance(b""))
    assert acceptances.find(bytes(LONGEST_REQUEST + 1)) is None
    assert len(acceptances) == MOST_KEPT
