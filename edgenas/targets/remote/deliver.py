"""Files sent into a new folder on a board, and the self-test that is run there."""

from __future__ import annotations

import base64
import json
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from device_runtime import protocol
from device_runtime.json_text import read_json_text
from edgenas.core.errors import InputError, MeasurementError
from edgenas.core.records import from_json
from edgenas.targets.config import Access, TargetConfig
from edgenas.targets.remote import ssh_config
from edgenas.targets.remote.connection import quoted_program
from edgenas.targets.remote.transport import LinkLostError, Login, connect

_RECEIVER = Path(protocol.__file__).resolve().with_name("receive.py")
_MOST_ANSWER_BYTES = 1 << 20
_SEND_S = 600.0
_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Delivered:
    """folder : on the board. error : why it ended early; else status, out and errors are those of
    the self-test."""

    folder: str
    error: str
    status: int | None
    out: str
    errors: str


def deliver(
    config: TargetConfig, to: str, files: Mapping[str, bytes], timeout_s: float, access: Access
) -> Delivered:
    """Write `files` into the folder `to` of the board that `config` describes, and test it there.

    to : made; `~` is the home folder there. timeout_s : of the self-test.

    Raises
    ------
    InputError : the target is no board, or the folder is there already, or cannot be written.
    TargetError : the board cannot be reached, or answers nonsense.
    """
    if not config.connection.host:
        raise InputError(f"Target '{config.name}' is no board that is reached over SSH.")
    setup = config.board
    server = ssh_config.endpoint(config.connection, access.told)
    login = Login(access.accept_new_host_key, access.ask_password, access.told, setup.silence_s)
    entries = [
        [name, len(content), name.endswith("classify.py")] for name, content in files.items()
    ]
    asked = json.dumps({"to": to, "files": entries, "timeout_s": timeout_s}).encode()
    sent = b"".join((b"%012d" % len(asked), asked, *files.values()))
    source = base64.b64encode(_RECEIVER.read_bytes()).decode()
    program = f"exec(compile(__import__('base64').b64decode('{source}'), 'receive', 'exec'))"
    link = connect(server, login)
    try:
        channel = link.run(f"{quoted_program(setup.python)} -I -u -c {shlex.quote(program)}")
        channel.settimeout(max(setup.silence_s, timeout_s) + setup.silence_s)
        for start in range(0, len(sent), _PIECE_BYTES):
            channel.sendall(sent[start : start + _PIECE_BYTES])
        channel.shutdown_write()
        answer = _answer(channel, config.name)
    except (OSError, EOFError) as problem:
        raise LinkLostError(
            f"The link to '{config.name}' was lost while sending: {problem or 'no answer'}."
        ) from problem
    finally:
        link.close()
    if answer.error:
        raise InputError(f"{config.name}:{answer.folder or to}: {answer.error}.")
    return answer


def _answer(channel: object, name: str) -> Delivered:
    """Return the last line that the receiver printed; a login may say something before it."""
    said, deadline = b"", time.monotonic() + _SEND_S
    while piece := channel.recv(_PIECE_BYTES):  # type: ignore[attr-defined]
        said += piece
        if len(said) > _MOST_ANSWER_BYTES or time.monotonic() > deadline:
            raise MeasurementError(f"Target '{name}' answered too much, or too late.")
    lines = said.decode("utf-8", "replace").splitlines()
    try:
        document = read_json_text(lines[-1].encode() if lines else b"")
    except ValueError as problem:
        raise MeasurementError(
            f"Target '{name}' did not answer: its Python ended early.",
            "Is there a Python 3.8 or newer? Its target file may name one: [board] python",
        ) from problem
    return from_json(document, Delivered, f"The answer of target '{name}'", MeasurementError)
