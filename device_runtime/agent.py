"""The board's end of a connection: answers one request after another on stdin and stdout.

The host sends this module, and those that it imports, at every connection, to be run from memory:
it works before anything is installed, with the standard library only. A request is a JSON line,
{"do": …, "bytes": n, …}, and n raw bytes; an answer likewise, or {"error": …}. Any request may be
repeated after a cut.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import os
import re
import shutil
import site
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from device_runtime import interpreter, inventory, machine, own_folder
from device_runtime.board_files import BLOCK_BYTES, BoardFiles, read_block, require
from device_runtime.board_lock import BoardLock
from device_runtime.wire import HostGoneError, Wire

_POLL_S = 0.2  # rare enough not to disturb what is being timed
_SEND_EVERY_S = 1.0
_CHECK_S = 120.0
_TAIL_BYTES = 600
_FILE = re.compile(r"logits-[0-9]{1,9}\.npy\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_WITH_PAYLOAD = ("put", "restore")

Answer = Tuple[Dict[str, Any], bytes]


class Agent:
    """What the host can ask for: every public method is one request."""

    def __init__(self, root: str) -> None:
        home = Path("~").expanduser()
        cache = home / (os.environ.get("XDG_CACHE_HOME") or ".cache")
        self._files = BoardFiles(home / Path(root).expanduser() if root else cache / "edgenas")
        self._lock = BoardLock()
        self._children: List[Any] = []

    def probe(self, distributions: Dict[str, List[str]]) -> Dict[str, Any]:
        """Look at the machine; nothing is written.

        distributions : engine -> the names under which it may be installed here.
        """
        installed = {engine: _installed(names) for engine, names in distributions.items()}
        root, refused = self._files.folder, ""
        there = next(folder for folder in (root, *root.parents) if folder.exists())
        try:
            own_folder.require(root) if own_folder.is_there(root) else own_folder.require_safe(root)
        except OSError as problem:
            refused = str(problem)
        return {
            "machine": {**machine.describe(), **inventory.describe()},
            "state": machine.state(there),
            "engines": {engine: known for engine, known in installed.items() if known},
            "folder": str(root),
            "writable": os.access(str(there), os.W_OK),
            "refused": refused,
            "holder": self._lock.holder(),
        }

    def have(self, blobs: List[str], packages: List[str]) -> Dict[str, Any]:
        """Say what is here: bytes of each blob, -1 where it is whole; packages; free space."""
        files = self._files
        return {
            "blobs": {name: files.blob_size(name) for name in blobs},
            "packages": [name for name in packages if files.has_package(name)],
            "free_bytes": shutil.disk_usage(str(files.root)).free,
        }

    def put(self, pieces: Iterator[bytes], blobs: List[List[Any]]) -> Dict[str, Any]:
        """Take blobs; see `BoardFiles.put`."""
        self._files.put(pieces, blobs)
        return {}

    def unpack(self, blob: str, package: str) -> Dict[str, Any]:
        """Turn a blob into a package; see `BoardFiles.unpack`."""
        self._files.unpack(blob, package)
        return {}

    def drop(self, package: str) -> Dict[str, Any]:
        """Remove a package."""
        self._files.drop(package)
        return {}

    def check(self, packages: List[str], own: bool, engine: str) -> Answer:
        """Run the runtime's own probe with these packages; what it prints is the payload."""
        require(_NAME.match(engine), engine)
        done = subprocess.run(
            self._command(packages, own, "--probe", str(self._files.root), engine),
            cwd=interpreter.NEUTRAL_FOLDER,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            timeout=_CHECK_S,
            check=False,
        )
        return {"status": done.returncode, "errors": _end_of(done.stderr)}, done.stdout

    def place(self, job: str, text: str, files: Dict[str, str]) -> Dict[str, Any]:
        """Make a job's folder; see `BoardFiles.place`."""
        self._files.place(job, text, files)
        self._files.prune()
        return {}

    def compare(self, job: str, size: int, sha256: str) -> Dict[str, Any]:
        """Say whether the journal here begins with the host's, `size` bytes of hash `sha256`."""
        journal = self._journal(job)
        content = journal.read_bytes() if journal.exists() else b""
        same = len(content) >= size and hashlib.sha256(content[:size]).hexdigest() == sha256
        return {"same": same, "running": self._lock.held_for(self._files.job(job))}

    def restore(self, pieces: Iterator[bytes], job: str) -> Dict[str, Any]:
        """Put the host's journal in the place of the one here."""
        part = self._journal(job).with_suffix(".part")
        part.write_bytes(b"".join(pieces))
        part.replace(self._journal(job))
        return {}

    def start(self, job: str, packages: List[str], own: bool, host: str) -> Dict[str, Any]:
        """Start the runtime on a job, detached; it holds the board's lock until it ends."""
        if self._lock.held_for(self._files.job(job)):
            return {"state": "running"}
        held = self._lock.take({"job": job, "host": host, "since": time.time()})
        if held is None:
            return {"state": "busy", "holder": self._lock.holder()}
        folder = self._files.job(job)
        try:
            with (folder / "errors.txt").open("wb") as errors:
                child = subprocess.Popen(
                    self._command(packages, own, str(folder)),
                    cwd=interpreter.NEUTRAL_FOLDER,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    start_new_session=True,
                    pass_fds=(held,),
                )
            self._lock.set_pid(held, child.pid)
            self._children.append(child)
        finally:
            os.close(held)
        return {"state": "started"}

    def tail(self, job: str, offset: int, wait_s: float) -> Answer:
        """Return the journal from `offset` on, once a second has passed or the runtime ended."""
        journal = self._journal(job)
        began = time.monotonic()
        while True:
            running = self._lock.held_for(self._files.job(job))
            size = journal.stat().st_size if journal.exists() else 0
            waited = time.monotonic() - began
            if not running or waited >= wait_s or (size > offset and waited >= _SEND_EVERY_S):
                break
            time.sleep(_POLL_S)
        for child in self._children:
            child.poll()
        said: Dict[str, Any] = {"running": running, "size": size}
        errors = self._files.job(job) / "errors.txt"
        if not running:
            size = errors.stat().st_size if errors.exists() else 0
            said["errors"] = _end_of(read_block(errors, max(0, size - _TAIL_BYTES)))
            said["free_bytes"] = shutil.disk_usage(str(self._files.root)).free
        content = read_block(journal, offset)
        return said, _lasting(content) if running else content

    def read(self, job: str, file: str, offset: int) -> Answer:
        """Return logits that the runtime wrote, from `offset` on, 1 MiB at most."""
        require(_FILE.match(file), file)
        path = self._files.job(job) / file
        return {"size": path.stat().st_size if path.exists() else 0}, read_block(path, offset)

    def stop(self, job: str) -> Dict[str, Any]:
        """Stop the runtime if it works on this job; its journal stays."""
        if self._lock.held_for(self._files.job(job)):
            self._lock.end_holder(self._files.job(job))
        return {}

    def forget(self, job: str) -> Dict[str, Any]:
        """Remove a job's folder."""
        shutil.rmtree(str(self._files.job(job)), ignore_errors=True)
        return {}

    def room(self) -> Dict[str, Any]:
        """Say what of the disk is free, and what of it this folder takes."""
        there = next(f for f in (self._files.folder, *self._files.folder.parents) if f.exists())
        return {
            "folder": str(self._files.folder),
            "kept_bytes": self._files.kept_bytes(),
            "free_bytes": shutil.disk_usage(str(there)).free,
        }

    def clean(self) -> Dict[str, Any]:
        """Remove all that is kept here, unless the board is measuring."""
        held = self._lock.take({})
        if held is None:
            return {"state": "busy", "holder": self._lock.holder()}
        try:
            there, left = self._files.clean()
            self._lock.remove()
        finally:
            os.close(held)
        folder = str(self._files.folder)
        return {"state": "cleaned" if there else "empty", "folder": folder, "left": left}

    def _journal(self, job: str) -> Path:
        return self._files.job(job) / "journal.jsonl"

    def _command(self, packages: List[str], own: bool, *arguments: str) -> List[str]:
        """Return the words that start the runtime with these packages.

        own : what the board's user installed may be imported, too.
        """
        folders = [str(self._files.verified(name)) for name in packages]
        users = interpreter.user_site() if own else []
        if own:
            folders += interpreter.python_path()
        return interpreter.command("device_runtime", arguments, folders, users)

    def _environment(self) -> Dict[str, str]:
        scratch = str(self._files.scratch)  # engines keep things of their own: no trace of them
        return {**os.environ, "XDG_CACHE_HOME": scratch, "TMPDIR": scratch}


def _installed(names: List[str]) -> Optional[str]:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def _end_of(content: bytes) -> str:
    return content[-_TAIL_BYTES:].decode("utf-8", "replace").strip()


def _lasting(content: bytes) -> bytes:
    """Return the lines of a growing journal that outlast a reset of the board.

    Times alone are not forced to the disk: a host that had them would go on, after a reset, from
    a place that the journal here no longer has. A whole block of them is sent all the same.
    """
    end = len(content)
    while end:
        start = content.rfind(b"\n", 0, end - 1) + 1
        if content[end - 1 : end] == b"\n" and b'"type":"timed"' not in content[start:end]:
            break
        end = start
    return content[:end] or (content if len(content) >= BLOCK_BYTES else b"")


def serve(agent: Agent, wire: Wire) -> None:
    """Answer requests until there are no more."""
    for request in wire.requests():
        name = request.pop("do")
        pieces = wire.payload(request.pop("bytes"))
        if name in _WITH_PAYLOAD:
            request["pieces"] = pieces
        try:
            done = getattr(agent, name)(**request)
            fields, payload = done if isinstance(done, tuple) else (done, b"")
        except HostGoneError:
            raise
        except Exception as problem:  # noqa: BLE001 - an agent that ends looks like a lost link
            named = isinstance(problem, (OSError, subprocess.SubprocessError))
            text = str(problem) if named else f"{type(problem).__name__}: {problem}"
            number = getattr(problem, "errno", None)
            foreign = isinstance(problem, own_folder.ForeignFolderError)
            error = {"errno": number, "text": text, "foreign": foreign}
            if number in (errno.ENOSPC, errno.EDQUOT):
                error.update(agent.room())
            fields, payload = {"error": error}, b""
        for _ in pieces:
            pass  # what was not taken because of an error
        wire.answer(fields, payload)


def main(root: str) -> None:
    """Say hello and serve; `root` is the folder to keep things in, empty for the usual one."""
    os.umask(0o077)  # what is kept here is nobody else's
    wire = Wire(os.dup(0), os.dup(1))
    os.dup2(2, 1)  # whatever else is printed is no answer
    wire.answer({"hello": "edgenas"})
    sys.path += interpreter.python_path()
    for folder in interpreter.user_site():  # what the user installed is seen, too
        site.addsitedir(folder)
    try:
        serve(Agent(root), wire)
    except (HostGoneError, ConnectionError):
        return
