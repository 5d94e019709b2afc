"""The garbage collector leaves alone what a process has loaded, and still frees what is made afterwards."""

import gc
import weakref

from dxatrend.service.memory import leave_what_is_loaded


class _Circle:
    def __init__(self) -> None:
        self.itself = self


def test_what_is_loaded_is_passed_over_and_what_comes_later_is_collected() -> None:
    before = gc.get_freeze_count()
    leave_what_is_loaded()
    try:
        assert gc.get_freeze_count() > before
        later = weakref.ref(_Circle())
        gc.collect()
        assert later() is None
    finally:
        gc.unfreeze()
