"""Signals that end a training: Ctrl-C, and the alarm of a time limit.

Python raises their exceptions anywhere: also in callbacks of libraries (JAX has one for the garbage collector), where
they are ignored; in TensorFlow's C code, which raises a `TypeError` instead; and in layers of Keras, which raises one
with all arguments in its message.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import Any, Iterator, List, Optional

_AGAIN = 1.0  # seconds


class TooLong(Exception):
    """A trial's time is over. No `TimeoutError`: that is an `OSError`, which a cache takes for its own."""


@contextlib.contextmanager
def limited(end: Optional[float], seconds: Optional[float]) -> Iterator[None]:
    """Raises `TooLong` in what goes on; where there is no alarm clock (Windows, other threads) it waits.

    Args:
        end: as `time.monotonic` has it; None for no limit.
        seconds: the limit, for the message.

    Raises:
        TooLong: instead of whatever is raised after the alarm.
    """
    if end is None or not hasattr(signal, "setitimer") or not _in_main_thread():
        yield
        return

    rung: List[int] = []

    def ring(number: int, _: Any) -> None:
        rung.append(number)
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(end - time.monotonic(), 1e-3), _AGAIN)
    try:
        yield
    except Exception:
        if not rung:
            raise
        raise TooLong(f"It took longer than {seconds:g} seconds.") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Lets Ctrl-C end what goes on, at its end at the latest.

    Raises:
        KeyboardInterrupt: if it was pressed.
    """
    if not _in_main_thread():
        yield
        return
    pressed: List[int] = []

    def press(number: int, _: Any) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, press)
    try:
        yield
    except Exception:
        if not pressed:
            raise
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def _in_main_thread() -> bool:
    """Only there may a signal be handled."""
    return threading.current_thread() is threading.main_thread()
