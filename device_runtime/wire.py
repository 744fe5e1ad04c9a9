"""The connection as an agent sees it: JSON lines, each with raw bytes behind it."""

from __future__ import annotations

import json
import os
import select
from typing import Any, Dict, Iterator

_IDLE_S = 120.0  # without a request: the link was dropped silently
_BLOCK_BYTES = 1 << 16


class HostGoneError(Exception):
    """The connection ended in the middle of a request."""


class Wire:
    """Requests in, answers out, with a limit on silence."""

    def __init__(self, source: int, sink: int) -> None:
        self._source = source
        self._sink = sink
        self._unread = b""

    def requests(self) -> Iterator[Dict[str, Any]]:
        """Yield requests until the host closes the connection, or is silent for too long."""
        while True:
            while b"\n" not in self._unread:
                if not self._more():
                    return
            line, _, self._unread = self._unread.partition(b"\n")
            yield json.loads(line.decode("utf-8"))

    def payload(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes in pieces; `HostGoneError` if they do not come."""
        while size > 0:
            if not self._unread and not self._more():
                raise HostGoneError
            piece, self._unread = self._unread[:size], self._unread[size:]
            size -= len(piece)
            yield piece

    def answer(self, fields: Dict[str, Any], payload: bytes = b"") -> None:
        line = json.dumps({**fields, "bytes": len(payload)}).encode() + b"\n"
        content = line + payload
        while content:
            content = content[os.write(self._sink, content) :]

    def _more(self) -> bool:
        if not select.select([self._source], [], [], _IDLE_S)[0]:
            return False
        chunk = os.read(self._source, _BLOCK_BYTES)
        self._unread += chunk
        return bool(chunk)
