"""The command line that does a run again."""

from __future__ import annotations

import shlex

from edgenas.config import option_of
from edgenas.records import to_json
from edgenas.run_context import RunContext
from edgenas.table_run import WITHOUT_MEANING

_UNITS = {"max_latency_ms": "ms", "device_time_s": "s"}


def command(context: RunContext) -> str:
    """Return the command line that does the same again."""
    options = {k: v for k, v in to_json(context.config).items() if v is not None}
    if context.replays:
        options = {k: v for k, v in options.items() if k not in WITHOUT_MEANING}
    words = ["edgenas search"]
    for name, value in options.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            words.append(f"{option_of(name)} {shlex.quote(_shown(one) + _UNITS.get(name, ''))}")
    return " ".join(words)


def _shown(value: object) -> str:
    """Return a value as a user writes it: a float without needless digits, and with all others."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)
