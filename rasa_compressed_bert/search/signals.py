"""Signals that end a training: Ctrl-C, and the alarm of a time limit.

Python may raise their exceptions anywhere, and libraries change or lose them: they are ignored in callbacks (JAX has
one for the garbage collector), TensorFlow's C code raises a `TypeError` instead, and Keras adds all arguments of a
layer to the message.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import Any, Iterator, List, Optional, Type

_AGAIN = 1.0  # seconds


class TooLong(Exception):
    """The time of a trial is over. Not a `TimeoutError`, which is an `OSError` and would be handled by the cache."""


@contextlib.contextmanager
def limited(end: Optional[float], seconds: Optional[float]) -> Iterator[None]:
    """A context manager that raises `TooLong` when the time is over, except on Windows and in other threads.

    Args:
        end: the time of `time.monotonic` at which it is over; None for no limit.
        seconds: the limit, for the message.

    Raises:
        TooLong: in place of any exception that is raised after the alarm.
    """
    if end is None or not hasattr(signal, "setitimer") or not _in_main_thread():
        yield
        return
    with _raising(signal.SIGALRM, TooLong) as received:
        signal.setitimer(signal.ITIMER_REAL, max(end - time.monotonic(), 1e-3), _AGAIN)
        try:
            yield
        except Exception:
            if not received:
                raise
            raise TooLong(f"It took longer than {seconds:g} seconds.") from None
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0.0)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A context manager that raises `KeyboardInterrupt` after Ctrl-C, on leaving it at the latest.

    Raises:
        KeyboardInterrupt: if Ctrl-C was pressed.
    """
    if not _in_main_thread():
        yield
        return
    with _raising(signal.SIGINT, KeyboardInterrupt) as received:
        try:
            yield
        except Exception:
            if not received:
                raise
    if received:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _raising(number: signal.Signals, error: Type[BaseException]) -> Iterator[List[int]]:
    """A context manager that raises an error at a signal; gives the list of the signals that were received."""
    received: List[int] = []

    def receive(number: int, _: Any) -> None:
        received.append(number)
        raise error

    before = signal.signal(number, receive)
    try:
        yield received
    finally:
        signal.signal(number, before)


def _in_main_thread() -> bool:
    """Whether this is the main thread, the only one that may handle signals."""
    return threading.current_thread() is threading.main_thread()
