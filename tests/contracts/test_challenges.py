"""What every challenge promises; a new one is enrolled by its file and needs packages to check."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgenas.challenges.base import Challenge
from edgenas.core import plugins
from edgenas.core.errors import InputError
from helpers.challenge_packages import BROKEN, GOOD, NEEDS_LITERT


@pytest.fixture(params=plugins.names("challenges"))
def name(request: pytest.FixtureRequest) -> str:
    if request.param in NEEDS_LITERT:
        pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    return request.param


@pytest.fixture
def challenge(name: str) -> Challenge:
    return plugins.load("challenges", name)


CASES = [(name, wrong) for name, cases in BROKEN.items() for wrong in cases]


def test_rules_are_called_by_the_challenge_and_have_sources(
    name: str, challenge: Challenge
) -> None:
    rules = challenge.RULES
    assert rules.name == name
    assert rules.title
    assert rules.rules
    for about in (*rules.rules.values(), *rules.parameters.values()):
        assert about.text.endswith(".")
        assert about.source


def test_good_package_has_no_errors(name: str, challenge: Challenge, tmp_path: Path) -> None:
    findings = challenge.lint(GOOD[name](tmp_path))
    assert [finding for finding in findings if finding.severity != "step"] == []
    steps = tuple(finding.message for finding in findings if finding.severity == "step")
    assert steps == challenge.RULES.steps


def test_there_are_five_broken_packages_or_more(name: str) -> None:
    assert len(BROKEN[name]) >= 5


@pytest.mark.parametrize(("broken", "wrong"), CASES)
def test_broken_package_is_named_with_its_rule(broken: str, wrong: str, tmp_path: Path) -> None:
    if broken in NEEDS_LITERT or wrong == "a classifier":
        pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    build, rule = BROKEN[broken][wrong]
    challenge = plugins.load("challenges", broken)
    findings = [f for f in challenge.lint(build(tmp_path)) if f.severity != "step"]
    assert rule in {finding.rule for finding in findings}
    for finding in findings:
        about = challenge.RULES.rules[finding.rule]
        assert about.text in finding.message
        assert finding.source == about.source
        assert finding.remedy


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04", b"TFL3" * 9, b"\x1c\0\0\0TFL3", b"\xff" * 99]
)
def test_garbage_is_a_finding_not_an_exception(
    name: str, challenge: Challenge, tmp_path: Path, content: bytes
) -> None:
    for suffix in (".tflite", ".onnx", ".pyz"):
        path = tmp_path / f"file{suffix}"
        path.write_bytes(content)
        if name == "generic":
            assert any(f.severity == "error" for f in challenge.lint(tmp_path))
        else:
            assert any(f.severity == "error" for f in challenge.lint(path))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "It is empty."),
        (b"PK\x03\x04" + bytes(99), "It is a zip archive, not "),
        (b"version https://git-lfs.github.com/spec/v1\n", "It is text, not "),
    ],
)
def test_what_is_no_model_is_called_what_it_is(tmp_path: Path, content: bytes, said: str) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert")
    for name, suffix in (("ovic2020", ".tflite"), ("lpcvc2025-track1", ".onnx")):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(content)
        (finding, *_) = plugins.load("challenges", name).lint(path)
        assert finding.message.startswith(said)


def test_absent_file_and_unknown_parameter_are_one_clear_line(
    challenge: Challenge, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="There is no"):
        challenge.lint(tmp_path / "nothing")
    with pytest.raises(InputError, match="has no parameter 'frontier'"):
        challenge.score(tmp_path, None, {"frontier": "1"})
