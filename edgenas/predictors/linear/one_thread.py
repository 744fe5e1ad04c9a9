"""BLAS on one thread: small matrices are multiplied faster than threads are woken."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from importlib import import_module


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Keep BLAS to one thread, also where this is called from Python; a decorator, too."""
    from threadpoolctl import threadpool_limits

    import_module("scipy.linalg")  # only a BLAS that is loaded is limited, and scipy has its own
    with threadpool_limits(limits=1, user_api="blas"):
        yield
