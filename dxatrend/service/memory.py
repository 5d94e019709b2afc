"""Make the C library give large blocks of memory back to the system as soon as they are free (mallopt(3))."""

import ctypes
import logging

log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1 << 20
"""Blocks from this size on are mapped one by one. glibc raises its own limit to 32 MB once such a block was freed, and
then keeps what objects of tens of megabytes leave behind."""


def give_back_large_blocks() -> None:
    """Set the limit for this process; a C library that has no such function is left as it is."""
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
    except AttributeError:
        log.info("the C library cannot be told to give memory back")
