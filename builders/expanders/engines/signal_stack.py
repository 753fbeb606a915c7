"""Keeps a native library from leaving a thread with a signal stack that is no longer there."""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _SignalStack(ctypes.Structure):
    """`stack_t` of Linux, see sigaltstack(2)."""

    _fields_ = (("pointer", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


_DISABLED = 2


@contextmanager
def own_signal_stack() -> Iterator[None]:
    """Gives this thread its own signal stack back, whatever was put in its place meanwhile.

    OpenVINO gives the thread that calls it a signal stack and frees it with the pipeline. Python's handlers run on
    that stack, so that the next Ctrl-C would be a segmentation fault.

    Example:

    ```python
    >>> with own_signal_stack():
    ...     pass

    ```
    """
    if sys.platform != "linux":
        yield
        return
    libc = ctypes.CDLL(None)
    before = _SignalStack()
    libc.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        if before.pointer is None:
            before.flags = _DISABLED
        libc.sigaltstack(ctypes.byref(before), None)
