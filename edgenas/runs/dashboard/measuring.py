"""How a run's measuring goes, from the journal of its job while the runtime writes it."""

from __future__ import annotations

from pathlib import Path

from device_runtime import protocol
from edgenas.core.errors import EdgeNasError, RunFolderError
from edgenas.core.files.inside import is_plain_file, read_inside
from edgenas.runs.dashboard.state import Measuring
from edgenas.targets.jobs.journal import Follower

_MOST_JOB_BYTES = 2**24
_MOST_READ_BYTES = 2**23  # of a journal at once: the rest is read when the folder is next looked at


class JournalReader:
    """Reads the newest journal of a run on from where it was read to."""

    def __init__(self, run: Path) -> None:
        self._run = run
        self._path: Path | None = None
        self._follower: Follower | None = None

    def look(self) -> Measuring | None:
        """Return how the newest job of timings goes; None where there is none, or none to read."""
        path = self._newest()
        if path is None:
            return None
        try:
            if path != self._path:
                self._path, self._follower = path, self._begin(path)
            return None if self._follower is None else self._read(path, self._follower)
        except (EdgeNasError, protocol.ProtocolError, OSError, UnicodeDecodeError):
            self._follower = None  # damaged: whoever measures says so
            return None

    def _newest(self) -> Path | None:
        journals = [
            path for path in self._run.glob("jobs/*/*/journal.jsonl") if is_plain_file(path)
        ]
        return max(journals, key=lambda path: path.lstat().st_mtime, default=None)

    def _begin(self, path: Path) -> Follower | None:
        name = (path.parent / protocol.JOB_FILE).relative_to(self._run).as_posix()
        job = protocol.parse_job(read_inside(self._run, name, _MOST_JOB_BYTES).decode("utf-8"))
        return Follower(job, "", str(path)) if job.kind == "measure" else None

    def _read(self, path: Path, follower: Follower) -> Measuring | None:
        if not is_plain_file(path):
            raise RunFolderError(f"{path} is no file.")
        with path.open("rb") as stream:
            stream.seek(follower.offset)
            follower.feed(stream.read(_MOST_READ_BYTES))
        state = follower.state
        if not state.pass_ends:
            return None
        celsius = state.pass_ends[-1].after.get("temperature_celsius")
        return Measuring(
            float(celsius) if isinstance(celsius, (int, float)) else None,
            sum(map(len, state.rejected)),
            sum(map(len, state.passes)),
        )
