"""OpenSSH's certificates of hosts: who signed a key, for which names and for how long."""

from __future__ import annotations

import time
from dataclasses import dataclass

import paramiko

from edgenas.targets.openssh import wire

_HOST = 2
_SIGNATURES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-256",
    "rsa-sha2-512",
)


@dataclass(frozen=True)
class Certificate:
    """What a certificate says. kind : 2 is a host's. valid from `after_s` until `before_s`.

    authority : the public key that signed it. critical : options that must be understood.
    """

    kind: int
    principals: tuple[str, ...]
    after_s: int
    before_s: int
    critical: bytes
    authority: bytes
    signed: bytes
    signature: bytes

    def problem(self, name: str, now_s: float | None = None) -> str:
        """Return why it does not prove that a host is `name`; empty if it does."""
        now = time.time() if now_s is None else now_s
        if self.kind != _HOST:
            return "it is not a host's"
        if not self.after_s <= now < self.before_s:
            return "it is not valid at this time"
        # one that names nobody is for every host, as ssh-keygen says
        if self.principals and name not in self.principals:
            return f"it is not for {name}"
        if self.critical:
            return "it has options that are not understood"
        return "" if self._is_signed() else "its signature is not its authority's"

    def _is_signed(self) -> bool:
        try:
            algorithm = wire.Reader(self.signature).text()
            kind = wire.Reader(self.authority).text()
            if algorithm not in _SIGNATURES:
                return False
            key = paramiko.PKey.from_type_string(kind, self.authority)
            return bool(key.verify_ssh_sig(self.signed, paramiko.Message(self.signature)))
        except (wire.WireError, paramiko.SSHException, paramiko.UnknownKeyType, ValueError):
            return False


def parse(blob: bytes) -> Certificate:
    """Return the certificate that a server has shown; `WireError` if it is none."""
    reader = wire.Reader(blob)
    key_type = reader.text()
    if not key_type.endswith(wire.CERTIFICATE):
        raise wire.WireError("it is no certificate")
    reader.string()  # a random number
    for _ in range(wire.fields(key_type.removesuffix(wire.CERTIFICATE))):
        reader.string()
    reader.number(8)  # its own number
    kind = reader.number(4)
    reader.string()  # its name
    names, principals = wire.Reader(reader.string()), []
    while not names.ended:
        principals.append(names.text())
    after_s, before_s = reader.number(8), reader.number(8)
    critical = reader.string()
    reader.string()  # extensions
    reader.string()  # reserved
    authority = reader.string()
    signed = blob[: reader.position]
    signature = reader.string()
    if not reader.ended:
        raise wire.WireError("something stands after it")
    return Certificate(
        kind, tuple(principals), after_s, before_s, critical, authority, signed, signature
    )
