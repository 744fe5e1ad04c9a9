"""requirements.lock has the versions of constraints.txt, each with the hashes that pip checks."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]


def test_the_lock_has_every_constraint_with_hashes() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = ("3.11", "3.12", "3.13", "3.14")
    locked: dict[str, set[str]] = {version: set() for version in versions}
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = re.split(r"\s+--hash=", line.strip())
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), line
        for version in versions:
            if holds(Requirement(requirement), version):
                locked[version].add(re.split(r"\s*;", requirement)[0].strip())
    for version in versions:
        expected = {f"{one.name}{one.specifier}" for one in pinned if holds(one, version)}
        assert locked[version] == expected


def holds(requirement: Requirement, version: str) -> bool:
    here = {"python_version": version, "python_full_version": f"{version}.0"}
    return requirement.marker is None or requirement.marker.evaluate(here)
