"""Status codes of DIMSE responses that we send or test for (PS3.7 Annex C; C-STORE: PS3.4 Table B.2-1)."""

SUCCESS = 0x0000

PENDING = (0xFF00, 0xFF01)
"""A C-FIND, C-MOVE or C-GET goes on (PS3.4 C.4)."""

OUT_OF_RESOURCES = 0xA700
"""A C-STORE is refused for now: the sender keeps its copy and tries again."""

PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_ARGUMENT = 0x0115
SOP_CLASS_NOT_SUPPORTED = 0x0122
NO_SUCH_ACTION = 0x0123
NOT_AUTHORISED = 0x0124
RESOURCE_LIMITATION = 0x0213

HANDLER_FAILED = 0xC211
"""What pynetdicom sends when a handler of ``EVT_C_STORE`` raised."""
