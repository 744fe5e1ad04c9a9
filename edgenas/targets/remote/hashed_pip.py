"""pip, which takes no wheel of which its index publishes no hash.

pip holds a wheel against the hash that its index publishes, and one without a hash against nothing.
Run as a module, with pip's own words. That is pip's inside, which has no option for it: where pip
is made otherwise, it is not run.
"""

from __future__ import annotations

import sys
from typing import Any

NO_HASH = "the package index publishes no hash of"
OTHER_PIP = "this pip cannot be told to refuse wheels without a hash"
_STRONG = ("sha256", "sha384", "sha512")


def main() -> int:
    """Run pip with this process's arguments; return its exit status."""
    from pip._internal.cli.main import main as run_pip
    from pip._internal.exceptions import InstallationError
    from pip._internal.models.link import Link
    from pip._internal.operations.prepare import RequirementPreparer

    prepare = getattr(RequirementPreparer, "prepare_linked_requirement", None)
    if prepare is None or not hasattr(Link, "hash_name"):
        sys.stderr.write(f"ERROR: {OTHER_PIP}\n")
        return 2

    def prepare_hashed(self: Any, req: Any, *others: Any, **named: Any) -> Any:
        link = req.link
        if link.hash_name not in _STRONG:
            raise InstallationError(f"{NO_HASH} {link.filename}")
        return prepare(self, req, *others, **named)

    RequirementPreparer.prepare_linked_requirement = prepare_hashed  # type: ignore[method-assign]
    return int(run_pip(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
