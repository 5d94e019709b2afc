"""How a process deals with memory: large blocks go back at once, what it loaded at its start is left alone."""

import ctypes
import gc
import logging

log = logging.getLogger(__name__)

_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
LARGE_BYTES = 1 << 20
"""Blocks of at least this size are mapped one by one. glibc raises its own limit up to 32 MB once such a block was
freed, and then keeps the memory that objects of tens of megabytes used."""


def give_back_large_blocks() -> None:
    """Return large blocks to the operating system as soon as they are freed (mallopt(3)), if the C library can."""
    _set_option(_M_MMAP_THRESHOLD, LARGE_BYTES)


def share_one_arena() -> None:
    """Let all threads allocate from one arena: of Python's threads only one computes at a time."""
    _set_option(_M_ARENA_MAX, 1)


def _set_option(option: int, value: int) -> None:
    try:
        ctypes.CDLL(None).mallopt(option, value)
    except AttributeError:
        log.info("the C library takes no options for memory")


def leave_what_is_loaded() -> None:
    """Have the garbage collector pass over everything that exists now, most of which lives as long as the process.

    Looking through all of it takes a tenth of a second, in which nothing else runs, and associations that come and go
    would bring that about every few seconds.
    """
    gc.collect()
    gc.freeze()
