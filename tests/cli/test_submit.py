"""What a challenge team reads: the help, and the check of a good and of a broken submission."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edgenas.cli.main import run
from edgenas.core import plugins
from helpers.challenge_packages import BROKEN, entry, good_2023, good_2025, good_generic, onnx_of


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


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's, of tracing
def test_a_traced_pytorch_file_is_not_said_to_be_rejected(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    layer, file = torch.nn.Conv2d(3, 4, 3), tmp_path / "model.pt"
    torch.jit.trace(layer, torch.rand(1, 3, 8, 8)).save(file)
    asked = ("--check", str(file), "--challenge", "lpcvc2025-track1")
    code, out, _ = said(capsys, monkeypatch, *asked)
    assert code == 0
    assert f"lpcvc2025-track1: {file} cannot be checked here" in out
    assert "rejected" not in out
    assert "0 bicycle, 1 car, 2 motorcycle" in out
    assert said(capsys, monkeypatch, *asked, "--strict")[0] == 7
    torch.save(layer.state_dict(), file)  # weights alone are no network
    code, out, _ = said(capsys, monkeypatch, *asked)
    assert (code, out.splitlines()[-1]) == (1, f"lpcvc2025-track1: {file} would be rejected")


def test_what_comes_with_python_or_with_the_board_is_no_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    source = "import pkg_resources, tensorrt, torch\nimport pycuda.driver"
    file = good_2023(tmp_path, source)
    code, out, _ = said(capsys, monkeypatch, "--check", str(file), "--challenge", "lpcvc2023")
    warnings = [line for line in out.splitlines() if line.startswith("warning: ")]
    assert code == 0
    assert len(warnings) == 1
    assert "imports pycuda, which is not installed there" in warnings[0]


def test_the_check_says_what_the_judge_feeds_and_counts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name = "lpcvc2025-track1"
    file = onnx_of()(tmp_path)  # made elsewhere: it says nothing of itself
    code, out, _ = said(capsys, monkeypatch, "--check", str(file), "--challenge", name)
    assert code == 0
    assert "RGB, squeezed to 224 x 224 (bilinear, antialiased), pixel / 255, no mean or std" in out
    assert "3 airplane, 4 bus" in out
    assert "48 TV" in out
    assert "63 hair drier" in out
    given = entry(224, 64).network
    assert given is not None
    normalised = given.emit(
        "onnx", given.graph, None, "u8s8", made=given.input, class_names=("a",) * 64
    )
    file.write_bytes(normalised)
    code, out, _ = said(capsys, monkeypatch, "--check", str(file), "--challenge", name)
    assert code == 1
    assert "(pixel / 255 - mean) / std, mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225" in out
    assert "its scores are in another order, or of other classes" in out


def test_a_card_whose_input_nobody_could_make_is_rejected(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = entry(16, 5)
    card = {**given.card, "input": {"fit": "stretch", "size": 16}}
    package = plugins.load("challenges", "generic").build(replace(given, card=card), tmp_path)
    code, out, _ = said(capsys, monkeypatch, "--check", str(package), "--challenge", "generic")
    assert code == 1
    assert "The input in" in out
    assert "'stretch'" in out
