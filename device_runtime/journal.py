"""The journal file: opened by one runtime at a time, appended to, never rewritten."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import List

from device_runtime.protocol import ProtocolError, Record, RecordReader, Timed, write_record

_LOCK_WAIT_S = 5.0  # a runtime that was just told to stop needs a moment to let go


class JournalBusyError(Exception):
    """Another runtime holds the journal."""


class Journal:
    """An open journal. `records` is what it held when it was opened, in order."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._lock()
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(self._file, whole)  # the line that a crash cut short
        self.records = _parse_lines(content[:whole])

    def _lock(self) -> None:
        deadline = time.monotonic() + _LOCK_WAIT_S
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise JournalBusyError(
                        "another runtime is at work in this job folder"
                    ) from None
                time.sleep(0.05)

    def append(self, record: Record) -> None:
        """Write one record; when this returns it is on the disk, and all before it.

        Times alone may wait: they count from the end of their pass on, and the disk stays quiet.
        """
        line = (write_record(record) + "\n").encode()
        while line:
            line = line[os.write(self._file, line) :]
        if not isinstance(record, Timed):
            os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)


def _parse_lines(content: bytes) -> List[Record]:
    records, reader = [], RecordReader()
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            records.append(reader.read(line.decode("utf-8")))
        except (UnicodeDecodeError, ProtocolError) as problem:
            raise ProtocolError(f"journal line {number}: {problem}") from None
    return records
