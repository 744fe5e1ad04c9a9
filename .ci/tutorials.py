"""Run the tutorials as they stand: each in an empty folder, block after block, by bash.

Run: python .ci/tutorials.py [NAME …]

A block below a line "<!-- not run: why -->" needs what is not at hand, and is passed over.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?<!-->\n)^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run(page: Path) -> int:
    """Run one page; return bash's exit code."""
    blocks = BLOCK.findall(page.read_text("utf-8"))
    if not blocks:
        raise SystemExit(f"{page} has no block to run")
    with tempfile.TemporaryDirectory() as folder:
        command, work = Path(folder, "bin", "edgenas"), Path(folder, "work")
        command.parent.mkdir()
        work.mkdir()
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m edgenas "$@"\n', "utf-8")
        command.chmod(0o755)
        paths = {"PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        environment = {**os.environ, **paths, "XDG_CONFIG_HOME": folder}
        script = ["bash", "-e", "-c", "\n".join(blocks)]
        return subprocess.run(script, cwd=work, env=environment, check=False).returncode


def main() -> None:
    for page in sorted(ROOT.glob("docs/tutorials/*.md")):
        if sys.argv[1:] and page.stem not in sys.argv[1:]:
            continue
        started = time.monotonic()
        code = run(page)
        sys.stderr.write(f"{page.stem}: exit {code}, {time.monotonic() - started:.0f} s\n")
        if code:
            raise SystemExit(code)


if __name__ == "__main__":
    main()
