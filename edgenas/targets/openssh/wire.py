"""SSH's binary form of keys, signatures and certificates: strings with their lengths."""

from __future__ import annotations

import base64
import binascii
import struct

# key type -> how many strings its public form has, its own name among them
_FIELDS = {
    "ssh-ed25519": 2,
    "ssh-rsa": 3,
    "ssh-dss": 5,
    "ecdsa-sha2-nistp256": 3,
    "ecdsa-sha2-nistp384": 3,
    "ecdsa-sha2-nistp521": 3,
    "sk-ssh-ed25519@openssh.com": 3,
    "sk-ecdsa-sha2-nistp256@openssh.com": 4,
}
CERTIFICATE = "-cert-v01@openssh.com"


class WireError(ValueError):
    """Bytes that are not of the form that they should have."""


class Reader:
    """Reads one value after the other; raises `WireError` where there is none."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.position = 0

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self._content):
            raise WireError("it is cut")
        piece = self._content[self.position : end]
        self.position = end
        return piece

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        return self.take(struct.unpack(">I", self.take(4))[0])

    def text(self) -> str:
        return self.string().decode("utf-8", "replace")

    @property
    def ended(self) -> bool:
        return self.position == len(self._content)


def fields(key_type: str) -> int:
    """Return how many strings a key has after its name; `WireError` if the type is not known."""
    if key_type not in _FIELDS:
        raise WireError(f"there is no key type {key_type}")
    return _FIELDS[key_type] - 1


def public_key(key_type: str, encoded: str) -> bytes:
    """Return the bytes of a whole public key, which is written in base64.

    Raises
    ------
    WireError : it is cut, of another type, or no key.
    """
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise WireError("it is not in base64") from problem
    reader = Reader(blob)
    if reader.text() != key_type:
        raise WireError(f"it is not of type {key_type}")
    for _ in range(fields(key_type)):
        reader.string()
    if not reader.ended:
        raise WireError("something stands after it")
    return blob


def line_key(content: bytes) -> bytes | None:
    """Return the key of a .pub file's first line; None: it is no such file."""
    words = content.split(b"\n", 1)[0].decode("utf-8", "replace").split()
    try:
        return public_key(words[0], words[1]) if len(words) >= 2 else None
    except WireError:
        return None


def certified_key(blob: bytes) -> bytes:
    """Return the public key that a certificate is about; `WireError` if it is no certificate."""
    reader = Reader(blob)
    key_type = reader.text()
    if not key_type.endswith(CERTIFICATE):
        raise WireError("it is no certificate")
    reader.string()  # a random number
    plain = key_type.removesuffix(CERTIFICATE)
    parts = [plain.encode(), *(reader.string() for _ in range(fields(plain)))]
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)
