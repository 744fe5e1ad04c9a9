"""Run a job, or look at the machine.

    python -m device_runtime JOB_FOLDER                 do the job; go on where its journal stops
    python -m device_runtime JOB_FOLDER --with-parent   the same, and stop when stdin closes
    python -m device_runtime JOB_FOLDER --root FOLDER   the same, with FOLDER's /proc and /sys
    python -m device_runtime --probe [FOLDER [ENGINE]]  print the machine and its engines, or only
                                                        this one, as JSON

Exit status: 0 all done; 3 stopped, journal kept; 2 the job, journal or engine cannot be used.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Dict, List

from device_runtime import inventory, machine
from device_runtime.backends import base
from device_runtime.journal import Journal, JournalBusyError
from device_runtime.process import StopRequested, StopSwitch, WorkerError
from device_runtime.protocol import (
    JOB_FILE,
    JOURNAL_FILE,
    VERSION,
    Profile,
    ProtocolError,
    parse_job,
)
from device_runtime.runner import Runner


def main(arguments: List[str]) -> int:
    """Return the exit status."""
    if arguments[:1] == ["--probe"]:
        folder = Path(arguments[1]) if arguments[1:] else Path.cwd()
        engines = _engines(arguments[2:] or base.names())
        described = {**machine.describe(), **inventory.describe()}
        profile = Profile(VERSION, described, machine.state(folder), engines)
        print(json.dumps(asdict(profile)))
        return 0
    options, root = arguments[1:], machine.ROOT
    if options[:1] == ["--root"] and len(options) > 1:
        root, options = Path(options[1]), options[2:]
    if not arguments or options not in ([], ["--with-parent"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        return _run(Path(arguments[0]), StopSwitch(with_stdin=bool(options)), root)
    except (OSError, ProtocolError, JournalBusyError, WorkerError) as problem:
        print(f"{problem}", file=sys.stderr)
        return 2


def _run(folder: Path, stop: StopSwitch, root: Path) -> int:
    job = parse_job((folder / JOB_FILE).read_text(encoding="utf-8"))
    journal = Journal(folder / JOURNAL_FILE)
    try:
        Runner(job, folder, journal, stop, root).run()
    except StopRequested:
        return 3
    finally:
        journal.close()
    return 0


def _engines(names: List[str]) -> Dict[str, str]:
    """Return the version of each engine of these that can be imported; say why one cannot."""
    versions = {}
    for name in names:
        try:
            versions[name] = base.load(name).version()
        except ImportError as problem:
            print(f"{name}: {problem}", file=sys.stderr)
    return versions


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
