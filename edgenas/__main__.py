"""`python -m edgenas`: the command line, where its script is not on the PATH."""

import sys
from pathlib import Path

# `-m` looks for modules in the current folder first. Only edgenas's own checkout may be one.
if sys.path[0] and Path(sys.path[0]).resolve() == Path.cwd() != Path(__file__).resolve().parents[1]:
    del sys.path[0]

from edgenas.cli.main import run

if __name__ == "__main__":
    run()
