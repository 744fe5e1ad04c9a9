"""Boards in network namespaces: each has an address and a cable of its own. Needs root.

The addresses are out of 198.18.0.0/15, which is for tests of networks (RFC 2544).
"""

from __future__ import annotations

import functools
import ipaddress
import os
import shutil
import subprocess

from helpers.boards import loopback
from helpers.boards.loopback import LoopbackBoard

_NETWORK = ipaddress.ip_network("198.18.0.0/15")
_PER_LAB = 16  # addresses: 4 boards, 4 for each cable
_DROP_ALL = "".join(
    f"add table inet fault; add chain inet fault {way} {{ type filter hook {way} priority 0; "
    f"policy drop; }}\n"
    for way in ("input", "output")
)
_DROP_NOTHING = "delete table inet fault"


def _do(*words: str, given: str | None = None) -> str:
    done = subprocess.run(words, input=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@functools.cache
def missing() -> str:
    """Return why such boards cannot be made; empty if they can."""
    if loopback.MISSING:
        return loopback.MISSING
    if os.geteuid() != 0:
        return "network namespaces are made by root only"
    for program in ("ip", "tc", "nft"):
        if shutil.which(program) is None:
            return f"{program} is not installed: run .ci/boards.sh"
    name = f"edgenas-{os.getpid()}-trial"
    try:
        _do("ip", "netns", "add", name)
        try:
            _do("ip", "link", "add", "name", f"et{os.getpid()}", "type", "veth", "peer", "name",
                "eth0", "netns", name)  # fmt: skip
            _do("tc", "-n", name, "qdisc", "add", "dev", "eth0", *_slowly("1mbit"))
            _do("ip", "netns", "exec", name, "nft", "-f", "-", given=_DROP_ALL)
        finally:
            _do("ip", "netns", "del", name)
    except OSError as problem:
        return f"this machine makes no network namespaces: {problem}"
    return ""


def _slowly(rate: str) -> tuple[str, ...]:
    return ("root", "tbf", "rate", rate, "burst", "16kb", "latency", "400ms")


class NetworkBoard(LoopbackBoard):
    """Board `number` (0 to 3) of this process, at the other end of a cable."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = f"board {number}"
        first = (os.getpid() * _PER_LAB + 4 * number) % _NETWORK.num_addresses
        self._net = f"{_NETWORK[first]}/30"
        self._here, self.host = str(_NETWORK[first + 1]), str(_NETWORK[first + 2])
        self._space = f"edgenas-{os.getpid()}-{number}"
        self._cable = f"en{os.getpid()}x{number}"
        self.started_by = ("ip", "netns", "exec", self._space)
        self._lay_cable()

    @property
    def port(self) -> int:
        return 22

    def _bind(self) -> int:
        return 22

    def _lay_cable(self) -> None:
        inside = ("ip", "-n", self._space)
        _do("ip", "netns", "add", self._space)
        _do("ip", "link", "add", "name", self._cable, "type", "veth", "peer", "name", "eth0",
            "netns", self._space)  # fmt: skip
        _do("ip", "addr", "add", f"{self._here}/30", "dev", self._cable)
        _do("ip", "link", "set", self._cable, "up")
        # without the cable nothing for the board shall leave by the default route
        _do("ip", "route", "add", "unreachable", self._net, "metric", "4096")
        _do(*inside, "addr", "add", f"{self.host}/30", "dev", "eth0")
        for device in ("lo", "eth0"):
            _do(*inside, "link", "set", device, "up")

    def close(self) -> None:
        super().close()
        _do("ip", "netns", "del", self._space)
        _do("ip", "route", "del", "unreachable", self._net, "metric", "4096")

    # ------------------------------------------------------------ faults

    def cut(self) -> None:
        """Pull the cable at this end: whoever sends is told."""
        _do("ip", "link", "set", self._cable, "down")

    def plug_in(self) -> None:
        _do("ip", "link", "set", self._cable, "up")

    def swallow(self) -> None:
        """Drop all that arrives at the board: nobody is told."""
        self._filter(_DROP_ALL)

    def let_through(self) -> None:
        self._filter(_DROP_NOTHING)

    def _filter(self, rules: str) -> None:
        _do(*self.started_by, "nft", "-f", "-", given=rules)

    def slow_down(self, rate: str) -> None:
        """Let no more than `rate` ("256kbit") through, either way."""
        _do("tc", "qdisc", "add", "dev", self._cable, *_slowly(rate))
        _do("tc", "-n", self._space, "qdisc", "add", "dev", "eth0", *_slowly(rate))
