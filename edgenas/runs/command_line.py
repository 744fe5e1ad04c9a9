"""The command line that does a run again."""

from __future__ import annotations

import shlex

from edgenas.core.records import to_json
from edgenas.core.run_options import OPTIONS, option_of
from edgenas.runs.run import RunContext

_PUBLIC = ("local", "digits")
_PLACEHOLDERS = {"target": "TARGET", "data": "DATA", "supernet": "SUPERNET", "warm_start": "RUN"}


def command(context: RunContext, private: bool = False) -> str:
    """Return the command line that does the same again.

    private : put words such as DATA in the place of paths, hosts and names.
    """
    is_table = context.folder.table.exists()
    stored = to_json(context.config)
    options = {
        name: stored[name]
        for name, option in OPTIONS.items()
        if stored.get(name) is not None and (option.is_of_tables or not is_table)
    }
    words = ["edgenas search"]
    for name, value in options.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            hidden = private and name in _PLACEHOLDERS and one not in _PUBLIC
            shown = _PLACEHOLDERS[name] if hidden else _shown(one) + OPTIONS[name].unit.strip("%")
            words.append(f"{option_of(name)} {shlex.quote(shown)}")
    return " ".join(words)


def _shown(value: object) -> str:
    """Return a value as a user writes it: a float without needless digits, and with all others."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)
