"""Return large blocks of memory to the operating system as soon as they are freed (mallopt(3))."""

import ctypes
import logging

log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD = -3
LARGE_BYTES = 1 << 20
"""Blocks of at least this size are mapped one by one. glibc raises its own limit up to 32 MB once such a block was
freed, and then keeps the memory that objects of tens of megabytes used."""


def give_back_large_blocks() -> None:
    """Set the limit for this process; a C library without such a function is left as it is."""
    try:
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
    except AttributeError:
        log.info("the C library cannot be told to return memory")
