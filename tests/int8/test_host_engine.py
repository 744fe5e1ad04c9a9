"""The host's engines write nothing of their own to the user's terminal, but errors."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgenas.int8.engines import host
from helpers.challenge_packages import emit, tiny_graph

IN_ITS_OWN_PROCESS = """
import sys
import numpy as np
from edgenas.int8.engines.host import logits
content = open(sys.argv[1], "rb").read()
print(logits(content, np.zeros((2, 3, 16, 16), np.float32), "litert").shape)
"""


def heard(work: Callable[[], Any]) -> bytes:
    """Return what is written to the file descriptor of stderr meanwhile."""
    with tempfile.TemporaryFile() as written:
        shown = os.dup(2)
        os.dup2(written.fileno(), 2)
        try:
            work()
        finally:
            os.dup2(shown, 2)
            os.close(shown)
        written.seek(0)
        return written.read()


def test_litert_does_not_say_that_it_made_a_delegate(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    path = tmp_path / "model.tflite"
    path.write_bytes(emit("tflite", tiny_graph(16, 4)))
    words = [sys.executable, "-c", IN_ITS_OWN_PROCESS, str(path)]  # it says so once a process
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(2, 4)\n", "")


@pytest.mark.parametrize("said", [b"ERROR: node 3 failed to prepare\n", b"WARNING: slow\n"])
def test_what_is_no_notice_still_reaches_the_user(
    monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    class Session:
        def __init__(self, *_: object) -> None:
            os.write(2, b"INFO: Created a delegate\n" + said)
            raise ValueError("it cannot be loaded")

    def load() -> None:
        with pytest.raises(ValueError, match="it cannot be loaded"):
            host.logits(b"", np.zeros((1, 3, 16, 16), np.float32), "litert")

    monkeypatch.setattr("device_runtime.tflite_session.TfliteSession", Session)
    monkeypatch.setattr(host, "_litert", lambda: (None, ""))
    assert heard(load) == said
