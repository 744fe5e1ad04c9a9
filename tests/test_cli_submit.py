"""What a challenge team reads: the help, and the check of a good and of a broken submission."""

from __future__ import annotations

from pathlib import Path

import pytest
from challenge_packages import BROKEN, good_2025, good_generic

from edgenas import plugins
from edgenas.cli.main import run


def said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int | str | None, str, str]:
    """Return the exit code of `edgenas submit`, and what it wrote to stdout and stderr."""
    monkeypatch.setattr("sys.argv", ["edgenas", "submit", *words])
    with pytest.raises(SystemExit) as ended:
        run()
    return ended.value.code, *capsys.readouterr()


def test_the_help_says_what_each_challenge_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = said(capsys, monkeypatch, "--help")
    assert code == 0
    for name in plugins.names("challenges"):
        assert f"\n    {name} " in out


def test_a_package_is_scored_by_its_card(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = good_generic(tmp_path)
    code, out, _ = said(capsys, monkeypatch, "--check", str(package), "--challenge", "generic")
    assert code == 0
    assert out.splitlines() == [
        f"generic: {package} is valid, as far as is known",
        "score 50 = 100 x accuracy, as card.json says",
    ]


def test_a_valid_file_is_followed_by_the_steps_that_are_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "lpcvc2025-track1"
    file = good_2025(tmp_path)
    code, out, _ = said(capsys, monkeypatch, "--check", str(file), "--challenge", name)
    steps = plugins.load("challenges", name).RULES.steps
    assert code == 0
    assert out.index("is valid") < out.index("what is left for you:") < out.index(steps[0])
    assert f"  {len(steps)}. {steps[-1]}" in out


def test_a_rejected_file_shows_what_to_mend_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "lpcvc2025-track1"
    file = BROKEN[name]["open batch"][0](tmp_path)
    code, out, _ = said(capsys, monkeypatch, "--check", str(file), "--challenge", name)
    assert code == 1
    assert "error: The input has the shape [open, 3, 224, 224]." in out
    assert "    remedy: Export with the fixed shape [1, 3, 224, 224]." in out
    assert out.splitlines()[-1] == f"{name}: {file} would be rejected"
    assert "scored" not in out


def test_a_folder_where_a_file_is_wanted_is_called_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, _, err = said(
        capsys, monkeypatch, "--check", str(tmp_path), "--challenge", "lpcvc2025-track1"
    )
    assert code == 2
    assert err.startswith(f"edgenas: {tmp_path} is a folder.")
