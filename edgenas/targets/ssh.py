"""A board over SSH: the same runtime as here, sent there, measuring on when the link drops."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from device_runtime import protocol
from edgenas.core.errors import InputError, TargetError
from edgenas.core.progress import Progress
from edgenas.core.records import DeviceProfile
from edgenas.int8.engines.scheme import default_scheme
from edgenas.targets import doctor
from edgenas.targets import offers as engines
from edgenas.targets.config import Access, TargetConfig
from edgenas.targets.jobs.detached import DetachedJob
from edgenas.targets.jobs.job_target import DoneJob, JobTarget
from edgenas.targets.jobs.runtime import RUNTIME, require_backend
from edgenas.targets.remote import ssh_config, wheels
from edgenas.targets.remote.board import Board
from edgenas.targets.remote.connection import LONG_S, PRIVATE_FOLDER
from edgenas.targets.remote.provision import Packages, Wanted, provision
from edgenas.targets.remote.transport import Login
from edgenas.targets.remote.wheels import Platform

_MOST_NAMED, _MOST_CHARACTERS = 5, 200  # of files in a message
_BUSY_SPARE_S = 120.0  # that another host's job may take beyond its device time


@dataclass(frozen=True)
class Probed:
    """Answer to `probe`. engines : those installed there. holder : who is measuring now.

    refused : why nothing can be kept in `folder`; empty if it can.
    """

    machine: dict[str, Any]
    state: dict[str, Any]
    engines: dict[str, str]
    folder: str
    writable: bool
    holder: dict[str, Any]
    refused: str = ""

    @property
    def tensorrt(self) -> str | None:
        """The version of TensorRT's library."""
        found = self.machine.get("tensorrt")
        return found if isinstance(found, str) else None

    @property
    def installed(self) -> dict[str, str]:
        """Engine -> version: a provider of TensorRT is none without TensorRT."""
        return {k: v for k, v in self.engines.items() if k != "tensorrt" or self.tensorrt}

    @property
    def platform(self) -> Platform:
        said = self.machine
        return Platform.of(
            str(said.get("machine")),
            32 if said.get("bits") == 32 else 64,
            str(said.get("python")),
            str(said.get("libc")),
        )


@dataclass(frozen=True)
class Cleaned:
    """Answer to `clean`: cleaned, empty, or busy with what `holder` says. left : not edgenas's."""

    state: str
    folder: str = ""
    left: tuple[str, ...] = ()
    holder: dict[str, Any] = field(default_factory=dict)


def create(config: TargetConfig, access: Access | None = None) -> SshTarget:
    """Return the target that `config` describes; nothing is sent before it is asked for."""
    return SshTarget(config, access or Access())


class SshTarget(JobTarget):
    """See `base.Target`. runtime : folder of the `device_runtime` package that is sent."""

    def __init__(self, config: TargetConfig, access: Access, runtime: Path = RUNTIME) -> None:
        if not config.connection.host:
            raise InputError(
                f"The target file {config.source} does not say where the board is.",
                'Add: [connection] host = "raspberrypi.local"',
            )
        require_backend(config, runtime)
        super().__init__(config)
        self._offline = access.offline
        self._runtime = runtime
        login = Login(
            access.accept_new_host_key, access.ask_password, access.told, config.board.silence_s
        )
        server = ssh_config.endpoint(config.connection, access.told)
        self._board = Board(config.name, server, login, config.board)
        self._packages: Packages | None = None

    @property
    def scheme(self) -> str:
        """The int8 scheme: the file's, or what suits the board, which is then asked."""
        if self._config.scheme:
            return self._config.scheme
        return default_scheme(str(self._probed.machine.get("machine")), self.engine)

    @cached_property
    def _probed(self) -> Probed:
        asked = {**wheels.DISTRIBUTIONS, **engines.WITH_TENSORRT}
        return self._board.ask("probe", Probed, distributions=asked)[0]

    def probe(self) -> DeviceProfile:
        """Look at the board; nothing is written there."""
        self.__dict__.pop("_probed", None)
        seen = self._probed
        installed, problems = seen.installed, []
        usable = dict(installed)
        offers = engines.here(installed, seen.tensorrt)
        if self._config.board.packages == "sent":
            usable.pop(self.engine, None)
            try:
                sent = wheels.for_board(
                    self.engine,
                    seen.platform,
                    self._offline,
                    self._config.board.engine_version,
                )
                usable[self.engine] = wheels.version(self.engine, sent)
            except TargetError as problem:
                problems.append(f"{problem.message} {problem.hint}")
            offers = engines.to_send(installed, seen.tensorrt, seen.platform, self._offline)
        if not seen.writable:
            problems.append(f"{seen.folder} cannot be written. {PRIVATE_FOLDER}")
        if seen.refused:
            problems.append(f"Nothing can be kept there: {seen.refused}. {PRIVATE_FOLDER}")
        if seen.holder:
            problems.append(f"Another host is measuring on it ({seen.holder.get('host')}): wait.")
        document = {
            "version": protocol.VERSION,
            "machine": seen.machine,
            "state": seen.state,
            "engines": usable,
        }
        profile = doctor.diagnose(json.dumps(document), self._config, self.scheme, offers)
        if problems:
            known = [p for p in profile.problems if not p.startswith(f"The engine {self.engine} ")]
            profile = replace(profile, problems=(*problems, *known))
        return profile

    def clean(self) -> str:
        """Remove all that edgenas keeps on the board; return what was done, in words.

        Raises
        ------
        TargetError : the board is measuring.
        """
        said, _ = self._board.ask("clean", Cleaned, timeout_s=LONG_S)
        if said.state == "busy":
            raise TargetError(
                f"Target '{self.name}' is measuring for {said.holder.get('host', 'somebody')}.",
                "Wait until it has finished.",
            )
        self._packages = None
        if said.state == "empty":
            return f"There was nothing of edgenas on '{self.name}'."
        if said.left:
            return (
                f"Removed what edgenas kept in {said.folder} on '{self.name}'. Left, because it "
                f"is not edgenas's: {', '.join(said.left[:_MOST_NAMED])[:_MOST_CHARACTERS]}."
            )
        return f"Removed {said.folder} from '{self.name}'."

    def _do(self, what: protocol.Job, folder: Path, total: int, progress: Progress) -> DoneJob:
        """Do the job: the board is needed only for what is missing here."""
        busy_s = what.settings.budget_s + _BUSY_SPARE_S
        twin = DetachedJob(
            self._board, what, folder, progress, busy_s=busy_s, limits=self._config.limits
        )
        if twin.state.ended is None:
            if self._packages is None:
                own = self._config.board.packages == "own"
                wanted = Wanted(
                    self.engine,
                    own,
                    self._offline,
                    self._runtime,
                    self._config.board.engine_version,
                )
                self._packages = provision(self._board, wanted, self._probed.platform, progress)
            twin.run(self._packages, total)
        return DoneJob(twin.state, twin.fetch, twin.forget)

    def close(self) -> None:
        """Close the connection; the next request makes a new one."""
        self._board.close()
