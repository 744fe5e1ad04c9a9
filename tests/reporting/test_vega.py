"""The script of the pages is bundled once, and never taken from a file that is another one."""

from __future__ import annotations

from pathlib import Path

import pytest
import vl_convert

from edgenas.reporting.pages import vega


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """Return a list that grows each time that Vega is bundled; the cache is an empty folder."""
    calls: list[None] = []

    def bundle(_: None) -> str:
        calls.append(None)
        return "var vega = {};"

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(vl_convert, "javascript_bundle", bundle)
    return calls


def test_it_is_bundled_once(bundled: list[None]) -> None:
    assert vega.vega() == vega.vega() == "var vega = {};"
    assert len(bundled) == 1


def test_a_changed_file_is_not_taken(bundled: list[None], tmp_path: Path) -> None:
    vega.vega()
    (kept,) = (tmp_path / "edgenas").iterdir()
    kept.write_text("alert(1)", "utf-8")
    assert vega.vega() == "var vega = {};"
    assert kept.read_text("utf-8") == "var vega = {};"
    assert len(bundled) == 2


def test_without_a_folder_to_keep_it_in_it_is_bundled_each_time(
    bundled: list[None], tmp_path: Path
) -> None:
    (tmp_path / "edgenas").write_text("no folder", "utf-8")
    assert vega.vega() == vega.vega() == "var vega = {};"
    assert len(bundled) == 2
