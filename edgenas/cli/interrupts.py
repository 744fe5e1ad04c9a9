"""Ctrl-C and SIGTERM: both end a command, wherever they fall.

Python drops an exception that a finaliser or a callback of its import system raises, and some
libraries drop what is raised while they import others. An interrupt that was dropped is raised
again: at once where Python says so, else when the work next says how far it is.
"""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Any

_AGAIN_AFTER_S = 0.2  # the hook has returned then
_came = threading.Event()


def listen() -> None:
    """Let Ctrl-C and SIGTERM raise KeyboardInterrupt from here on."""
    _came.clear()
    signal.signal(signal.SIGTERM, _interrupt)
    # a shell may have told it to ignore Ctrl-C
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)
    sys.unraisablehook = _unraisable


def end() -> None:
    """Ignore Ctrl-C from here on: what is left to do takes no time."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _came.clear()
    sys.unraisablehook = sys.__unraisablehook__


def check() -> None:
    """Raise KeyboardInterrupt in the main thread if one came: this work goes on nevertheless."""
    if _came.is_set() and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def _interrupt(signum: int, frame: FrameType | None) -> None:
    _came.set()
    raise KeyboardInterrupt


def _unraisable(dropped: Any) -> None:
    """Send what was dropped once more, as a signal, which wakes a call that waits."""
    if not isinstance(dropped.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)
        return
    main = threading.main_thread().ident
    assert main is not None
    again = threading.Timer(_AGAIN_AFTER_S, signal.pthread_kill, (main, signal.SIGINT))
    again.daemon = True
    again.start()
