"""The keys that known_hosts files give a host: plain, hashed and wildcard names, markers."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgenas.targets.openssh import patterns, wire

_MARKERS = {"@revoked": "revoked", "@cert-authority": "authority"}


@dataclass(frozen=True)
class KnownKey:
    """One key. marker : "" for a host's own, "authority" signs hosts' keys, "revoked"."""

    marker: str
    key_type: str
    blob: bytes


def keys_of(name: str, files: Iterable[Path]) -> list[KnownKey]:
    """Return what `files` say of the host `name`; what cannot be read is passed over, as in ssh."""
    return [key for path in files for key in keys_in(name, _lines(path))]


def keys_in(name: str, lines: Iterable[str]) -> list[KnownKey]:
    """Return what `lines` say of the host `name`."""
    return [key for line in lines for key in _key_for(name, line)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_bytes().decode("utf-8", "replace").split("\n")
    except OSError:
        return []


def _key_for(name: str, line: str) -> Iterator[KnownKey]:
    words = line.replace("\t", " ").split()
    marker = ""
    if words and words[0].startswith("@"):
        marker = _MARKERS.get(words.pop(0), "unknown")
    if len(words) < 3 or words[0].startswith("#") or marker == "unknown":
        return
    hosts, key_type, encoded = words[:3]
    if not _is_for(name, hosts):
        return
    try:
        yield KnownKey(marker, key_type, wire.public_key(key_type, encoded))
    except wire.WireError:
        return


def hashed(name: str) -> str:
    """Return a name as `HashKnownHosts yes` stores it: |1|salt|HMAC-SHA1 of the name."""
    salt = os.urandom(hashlib.sha1().digest_size)
    digest = hmac.new(salt, name.lower().encode(), hashlib.sha1).digest()
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))


def _is_for(name: str, hosts: str) -> bool:
    if not hosts.startswith("|"):
        return patterns.matches_host(name, hosts)
    parts = hosts.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, expected = (base64.b64decode(part, validate=True) for part in parts[2:])
    except (binascii.Error, ValueError):
        return False
    hashed = hmac.new(salt, name.lower().encode(), hashlib.sha1).digest()
    return hmac.compare_digest(hashed, expected)
