"""Takes the files of an application on stdin, writes them into a new folder, and tests it.

Sent to a board's Python as one text. Standard input: 12 digits, so many bytes of JSON
{"to", "files": [[name, size, executable], …], "timeout_s"}, then the files one after the other.
Standard output: one line of JSON.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List


def take(size: int) -> bytes:
    """Return `size` bytes of the input; `EOFError` if there are fewer."""
    content = b""
    while len(content) < size:
        piece = sys.stdin.buffer.read(min(size - len(content), 1 << 20))
        if not piece:
            raise EOFError("the link ended early")
        content += piece
    return content


def write(to: Path, files: List[List[Any]]) -> None:
    """Write the files below `to`, which is made; nothing that is there is replaced."""
    if to.is_symlink() or (to.exists() and (not to.is_dir() or any(to.iterdir()))):
        raise FileExistsError("is there already, and an application replaces nothing")
    for name, size, executable in files:
        path = to.joinpath(*name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o755 if executable else 0o644
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(take(size))


def main() -> None:
    """Receive, write and test; print what came of it."""
    answer: Dict[str, Any] = {"folder": "", "error": "", "status": None, "out": "", "errors": ""}
    try:
        asked = json.loads(take(int(take(12))).decode())
        to = Path.cwd() / Path(asked["to"]).expanduser()
        answer["folder"] = str(to)
        write(to, asked["files"])
        command = [sys.executable, "-B", str(to / "classify.py"), "--self-test"]
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=asked["timeout_s"],
            cwd="/",
        )
        answer["status"] = done.returncode
        answer["out"] = done.stdout.decode("utf-8", "replace")[:100000]
        answer["errors"] = done.stderr.decode("utf-8", "replace")[-4000:]
    except subprocess.TimeoutExpired:
        answer["error"] = "its self-test did not end in time"
    except (OSError, EOFError, RuntimeError) as problem:
        answer["error"] = getattr(problem, "strerror", None) or str(problem)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
