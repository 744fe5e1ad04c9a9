"""What tests of models that somebody else made share."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.own_networks import write_own_folder


@pytest.fixture(scope="session")
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with digits as images and as arrays, and a float network that knows them."""
    root = tmp_path_factory.mktemp("own")
    write_own_folder(root)
    return root
