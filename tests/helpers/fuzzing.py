"""Fuzzing: valid inputs, damaged in structure or in bytes, and what a parser may do with them.

25 examples a parser by default; EDGENAS_FUZZ_EXAMPLES asks for more. They are the same ones each
time, so that what passed once passes again; EDGENAS_FUZZ_ANEW=1 draws others. hypothesis draws
what replaces a value, and one number that says where: what it draws costs more than most parsers,
and a place needs no shrinking.
"""

from __future__ import annotations

import copy
import itertools
import json
import os
import random
import signal
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from edgenas.core.errors import EdgeNasError

MOST_BYTES = 64 * 2**20
MOST_SECONDS = 60
# Counting every allocation takes as long as most parsers do, so of many inputs a part is counted;
# all of them have a limit that the kernel holds.
_COUNTED_OF = 1 if "EDGENAS_FUZZ_EXAMPLES" not in os.environ else 8
_ordinals = itertools.count()
_ASKED = os.environ.get("EDGENAS_FUZZ_EXAMPLES")


def fuzz(share: float = 1.0) -> Callable[[Any], Any]:
    """Return the settings of a fuzz test; share : of all examples, where each takes long."""
    return settings(
        max_examples=max(1, round(share * int(_ASKED or 25))),
        derandomize="EDGENAS_FUZZ_ANEW" not in os.environ,
        database=None,
        deadline=None,  # `guarded` has one that other work on the machine does not break
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        phases=[Phase.explicit, Phase.generate],  # what is damaged twice needs no shrinking
    )


class TooLateError(BaseException):
    """A parser did not end; no `except Exception` of it hides that."""


@contextmanager
def guarded(*allowed: type[Exception]) -> Iterator[None]:
    """Fail where the block raises anything but an error of the tree, hangs, or takes 64 MiB."""

    def late(signum: int, frame: Any) -> None:
        raise TooLateError(f"not ready after {MOST_SECONDS} s")

    counted = next(_ordinals) % _COUNTED_OF == 0
    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    if counted:
        tracemalloc.start()
    try:
        with _limited_memory(), suppress(EdgeNasError, *allowed):
            yield
        peak_bytes = tracemalloc.get_traced_memory()[1] if counted else 0
    finally:
        tracemalloc.stop()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert peak_bytes < MOST_BYTES, f"it allocated {peak_bytes / 2**20:.0f} MiB"


@contextmanager
def _limited_memory() -> Iterator[None]:
    """Let this process have 64 MiB more than it has: what asks for more ends in a MemoryError.

    Where the kernel has no such limit on what is allocated (it is Linux's) nothing is limited.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + MOST_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


# ---------------------------------------------------------------- damage

_TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)


class _Deep:
    """So many lists in each other; made only when it is written, for Python copies none."""

    def __init__(self, depth: int) -> None:
        self.text = "[" * depth + "]" * depth


JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    _TEXTS,
    st.sampled_from([[], {}, [[]], {"": None}, "\ud800", "../../x", "9" * 400, 1e308, -1, 2**53]),
    st.lists(st.integers(-3, 300), max_size=3),
    st.integers(1, 3000).map(_Deep),
)


_SEEDS = st.integers(0, 2**64 - 1)


@st.composite
def documents(draw: st.DrawFn, valid: Any) -> Any:
    """Draw `valid`, JSON values, with one to three places of it changed, doubled or left out."""
    rng = random.Random(draw(_SEEDS))
    root = [copy.deepcopy(valid)]
    for _ in range(rng.randint(1, 3)):
        holder: Any = root
        place: Any = 0
        while rng.randrange(6):
            inside = holder[place]
            if not (isinstance(inside, (dict, list)) and inside):
                break
            places = sorted(inside) if isinstance(inside, dict) else range(len(inside))
            holder, place = inside, rng.choice(places)
        inside = holder[place]
        action = rng.choice(["replace", "replace", "remove", "add"])
        if action == "remove" and holder is not root:
            del holder[place]
        elif action == "add" and isinstance(inside, dict):
            inside[draw(_TEXTS)] = copy.deepcopy(draw(JUNK))
        elif action == "add" and isinstance(inside, list):
            inside.extend(copy.deepcopy(inside[:50] or [draw(JUNK)]))
        else:
            holder[place] = copy.deepcopy(draw(JUNK))
    return root[0]


def text_of(document: Any) -> str:
    """Return JSON text, also of what JSON has not: NaN, halves of pairs, very deep lists."""
    deep: dict[str, str] = {}

    def default(value: Any) -> Any:
        deep[f'"deep {len(deep)}"'] = value.text
        return f"deep {len(deep) - 1}"

    text = json.dumps(document, default=default)
    for mark, lists in deep.items():
        text = text.replace(mark, lists)
    return text


_NUMBERS = (0, 1, 0x7F, 0xFF, 2**15, 2**31 - 1, 2**32 - 1)


@st.composite
def contents(draw: st.DrawFn, valid: bytes) -> bytes:
    """Draw the bytes of a valid file with some of them changed, moved, doubled or cut off."""
    rng = random.Random(draw(_SEEDS))
    content = bytearray(valid)
    for _ in range(rng.randint(1, 6)):
        size = len(content)
        start = rng.randint(0, max(size - 1, 0))
        length = rng.randint(0, 16)
        action = rng.choice(["flip", "set", "insert", "remove", "cut", "move", "number"])
        if action == "cut" and rng.randrange(2):
            del content[start:]
        elif action == "flip" and size:
            content[start] ^= 1 << rng.randrange(8)
        elif action == "set":
            content[start : start + length] = rng.randbytes(length)
        elif action == "insert":
            content[start:start] = rng.randbytes(length)
        elif action == "remove":
            del content[start : start + length]
        elif action == "move":
            other = rng.randint(0, max(size - 1, 0))
            content[start : start + length] = content[other : other + length]
        elif action == "number":
            content[start : start + 4] = rng.choice(_NUMBERS).to_bytes(4, "little")
    return bytes(content)
