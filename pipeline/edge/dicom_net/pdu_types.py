"""PDU types that an association acceptor may receive, and the length of a PDU's header (PS3.8 9.3)."""

A_ASSOCIATE_RQ, P_DATA_TF, A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 0x01, 0x04, 0x05, 0x06, 0x07

PDU_HEADER_SIZE = 6
"""Bytes of type, reserved byte and length."""
