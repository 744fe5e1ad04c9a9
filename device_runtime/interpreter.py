"""How another Python is started: it imports from named folders, and never from the current one.

`python -m NAME` puts the current folder first on `sys.path`, so a file that lies there and is named
`json.py` would run. Here Python is isolated (`-I`) and told where its modules are.
"""

from __future__ import annotations

import json
import os
import site
import sys
from pathlib import Path
from typing import List, Sequence

NEUTRAL_FOLDER = "/"  # to start in: the system's own

_START = (
    "import json, runpy, site, sys; "
    "first, last = json.loads(sys.argv[1]); "
    "sys.path[:0] = first; "
    "[site.addsitedir(folder) for folder in last]; "
    "del sys.argv[:3]; "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def command(
    module: str,
    arguments: Sequence[str],
    folders: Sequence[str],
    site_folders: Sequence[str] = (),
) -> List[str]:
    """Return the words that start `module` with `arguments`, as `python -m` does.

    folders : imported from first. site_folders : imported from last, and their .pth files are read.
    """
    flags = ["-I", "-B"] if sys.dont_write_bytecode else ["-I"]
    paths = json.dumps([list(folders), list(site_folders)])
    return [sys.executable, *flags, "-c", _START, paths, "-m", module, *arguments]


def command_like_this(module: str, arguments: Sequence[str], folder: str) -> List[str]:
    """Return the words that start `module` of `folder`, with all that this process imports from."""
    here = [entry for entry in sys.path if Path(entry).is_absolute()]
    users = [entry for entry in user_site() if entry in here]
    return command(module, arguments, [folder, *here], users)


def python_path() -> List[str]:
    """Return the folders of PYTHONPATH, without relative ones: those are others at each place."""
    entries = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return [entry for entry in entries if Path(entry).is_absolute()]


def user_site() -> List[str]:
    """Return the folder of what the user installed without a virtual environment, if it counts."""
    in_environment = sys.prefix != sys.base_prefix and sys.base_prefix not in site.PREFIXES
    refused = sys.flags.no_user_site and not sys.flags.isolated
    if in_environment or refused or os.environ.get("PYTHONNOUSERSITE"):
        return []
    folder = site.getusersitepackages()
    return [folder] if Path(folder).is_dir() else []
