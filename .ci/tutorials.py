"""Run the tutorials as they stand: each in an empty folder, block after block, by bash.

Of a notebook, cell after cell; what stands last in a cell has to show itself.

Run: python .ci/tutorials.py [NAME …]

A block below a line "<!-- not run: why -->" needs what is not at hand, and is passed over.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"(?<!-->\n)^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def command(page: Path) -> list[str]:
    """Return what runs one page; exit if there is nothing to run."""
    if page.suffix == ".ipynb":
        return [sys.executable, __file__, "--cells", str(page)]
    blocks = BLOCK.findall(page.read_text("utf-8"))
    if not blocks:
        raise SystemExit(f"{page} has no block to run")
    return ["bash", "-e", "-c", "\n".join(blocks)]


def run(page: Path) -> int:
    """Run one page; return its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        edgenas, work = Path(folder, "bin", "edgenas"), Path(folder, "work")
        edgenas.parent.mkdir()
        work.mkdir()
        edgenas.write_text(f'#!/bin/sh\nexec {sys.executable} -m edgenas "$@"\n', "utf-8")
        edgenas.chmod(0o755)
        paths = {"PATH": f"{edgenas.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        environment = {**os.environ, **paths, "XDG_CONFIG_HOME": folder}
        return subprocess.run(command(page), cwd=work, env=environment, check=False).returncode


def run_cells(notebook: Path) -> None:
    """Run the cells of a notebook here, as Jupyter would."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    names: dict[str, object] = {"__name__": "__main__"}
    for number, cell in enumerate(cells, start=1):
        if cell["cell_type"] != "code":
            continue
        tree = ast.parse("".join(cell["source"]), f"{notebook.name}, cell {number}")
        last = tree.body[-1]
        shown = ast.Expression(tree.body.pop().value) if isinstance(last, ast.Expr) else None
        exec(compile(tree, f"{notebook.name}, cell {number}", "exec"), names)
        if shown is not None:
            show(eval(compile(shown, f"{notebook.name}, cell {number}", "eval"), names))


def show(value: object) -> None:
    """Show a value as a notebook does; one without any way to be shown ends the run."""
    for name in ("_repr_mimebundle_", "_repr_html_"):
        if hasattr(value, name):
            assert getattr(value, name)(), f"{value!r} shows nothing"
            return
    assert isinstance(value, tuple), f"{value!r} does not show itself"


def main() -> None:
    if sys.argv[1:2] == ["--cells"]:
        run_cells(Path(sys.argv[2]))
        return
    pages = [page for kind in ("md", "ipynb") for page in ROOT.glob(f"docs/tutorials/*.{kind}")]
    for page in sorted(pages):
        if sys.argv[1:] and page.stem not in sys.argv[1:]:
            continue
        started = time.monotonic()
        code = run(page)
        sys.stderr.write(f"{page.stem}: exit {code}, {time.monotonic() - started:.0f} s\n")
        if code:
            raise SystemExit(code)


if __name__ == "__main__":
    main()
