"""Check every broken package of the tests; print what the user reads, as a markdown table.

Run: python benchmarks/challenge_findings.py
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from edgenas.core import plugins
from helpers.challenge_packages import BROKEN


def main() -> None:
    print("| challenge | what is wrong | what the user reads | exit |")
    print("|---|---|---|---|")
    for name, cases in BROKEN.items():
        challenge = plugins.load("challenges", name)
        for wrong, (build, rule) in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                findings = challenge.lint(build(Path(folder)))
            about = challenge.RULES.rules[rule].text
            first = next(one for one in findings if one.rule == rule)
            said = first.message.removesuffix(f" Rule: {about}").replace("|", "/")
            code = int(any(one.severity == "error" for one in findings))
            print(f"| {name} | {wrong} | {first.severity}: {said} *{first.remedy}* | {code} |")


if __name__ == "__main__":
    main()
