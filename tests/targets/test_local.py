"""The local target on real ONNX files: what it measures, computes and reports."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from device_runtime.machine import u8s8_saturates
from edgenas.core.errors import InputError, MeasurementError
from edgenas.core.progress import Silent, Task
from edgenas.targets.base import MeasureSettings, ModelFile, Preprocess
from edgenas.targets.config import Connection, TargetConfig
from edgenas.targets.local import LocalTarget, create
from helpers.scripted_runtime import model_file
from helpers.tiny_onnx import IMAGE_SHAPE, N_CLASSES, write_convolution, write_endless

SETTINGS = MeasureSettings(
    warmup_ms=1,
    run_ms=2,
    min_runs=5,
    min_passes=3,
    max_passes=4,
    relative_ci=0.3,
    anchor="a",
    busy_tolerance=100.0,  # other work on this machine must not decide how many passes there are
)
PREPROCESS = Preprocess((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


class Recorder(Silent):
    """A progress that adds up what its tasks advance."""

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[str, tuple[float, float]] = {}  # title -> (done, total)
        self.notes: list[str] = []

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Task]:
        recorder = self
        self.tasks[title] = (0.0, total)

        class Bar:
            def advance(self, units: float = 1.0) -> None:
                assert units > 0
                recorder.tasks[title] = (recorder.tasks[title][0] + units, total)

            def note(self, text: str) -> None:
                recorder.notes.append(text)

        yield Bar()


@pytest.fixture
def target() -> LocalTarget:
    return create(TargetConfig(name="here", kind="local", source="test"))


def test_measures_good_models_beside_bad_ones(target: LocalTarget, tmp_path: Path) -> None:
    good = [write_convolution(tmp_path / f"{key}.onnx", seed) for seed, key in enumerate("ab")]
    (tmp_path / "garbage.onnx").write_bytes(b"\x08\x07not a model" * 50)
    endless = write_endless(tmp_path / "endless.onnx")
    garbage = model_file(tmp_path / "garbage.onnx")
    settings = replace(SETTINGS, timeout_s=4)

    outcomes = target.measure(
        [good[0], garbage, endless, good[1]], settings, tmp_path / "jobs", Silent()
    )

    assert [outcomes[key].status for key in ("a", "garbage", "endless", "b")] == [
        "ok",
        "failed",
        "failed",
        "ok",
    ]
    assert "check: " in outcomes["garbage"].reason
    assert "no sign of life for 4 s" in outcomes["endless"].reason
    assert outcomes["garbage"].latency is None and outcomes["garbage"].peak_rss_bytes is None
    outcome = outcomes["b"]
    assert outcome.engine_version == onnxruntime.__version__
    provider, _, note = outcome.provider.partition("; ")
    assert provider == "CPUExecutionProvider"
    assert bool(note) == u8s8_saturates()  # the text: test_device_runtime_onnxruntime.py
    assert outcome.latency is not None and 3 <= len(outcome.latency.samples_ns) <= 4
    assert len({len(samples) for samples in outcome.latency.samples_ns}) == 1
    assert outcome.latency.ci95_ms[0] <= outcome.latency.median_ms <= outcome.latency.ci95_ms[1]
    assert outcome.peak_rss_bytes is not None and outcome.peak_rss_bytes > 20 * 2**20
    assert outcome.environment["machine"]["cores"] >= 1
    assert outcome.environment["before"]["load_average"] >= 0


def test_whole_journal_answers_without_the_runtime(
    target: LocalTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_convolution(tmp_path / "a.onnx")
    first = target.measure([model], SETTINGS, tmp_path / "jobs", Silent())
    monkeypatch.setattr("sys.executable", "/nonexistent")
    assert target.measure([model], SETTINGS, tmp_path / "jobs", Silent()) == first


def test_logits_are_bit_identical_to_the_engine_here(target: LocalTarget, tmp_path: Path) -> None:
    model = write_convolution(tmp_path / "a.onnx")
    images = np.random.default_rng(0).integers(0, 256, (501, *IMAGE_SHAPE), np.uint8)

    inference = target.infer(model, images, PREPROCESS, tmp_path / "jobs", Silent())

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.path, options, ["CPUExecutionProvider"])
    mean, std = (np.float32(value).reshape(3, 1, 1) for value in (PREPROCESS.mean, PREPROCESS.std))
    inputs = (images.astype(np.float32) / np.float32(255) - mean) / std
    expected = np.concatenate([session.run(None, {"input": image[None]})[0] for image in inputs])
    assert inference.outcome.status == "ok" and inference.logits is not None
    assert inference.logits.shape == (501, N_CLASSES) and inference.logits.dtype == np.float32
    np.testing.assert_array_equal(inference.logits, expected)


def test_progress_ends_at_its_total(target: LocalTarget, tmp_path: Path) -> None:
    models = [write_convolution(tmp_path / f"{key}.onnx", seed) for seed, key in enumerate("abc")]
    (tmp_path / "bad.onnx").write_bytes(b"bad")
    models.append(model_file(tmp_path / "bad.onnx"))
    progress = Recorder()
    target.measure(models, SETTINGS, tmp_path / "jobs", progress)
    images = np.zeros((7, *IMAGE_SHAPE), np.uint8)
    target.infer(models[0], images, PREPROCESS, tmp_path / "jobs", progress)
    assert progress.tasks["Measuring on here"] == (pytest.approx(4), 4)
    assert progress.tasks["Running images on here"] == (7, 7)
    assert any("1 failed" in note for note in progress.notes)


def test_changed_logits_are_refused(target: LocalTarget, tmp_path: Path) -> None:
    model = write_convolution(tmp_path / "a.onnx")
    images = np.zeros((2, *IMAGE_SHAPE), np.uint8)
    target.infer(model, images, PREPROCESS, tmp_path / "jobs", Silent())
    (logits,) = tmp_path.glob("jobs/infer-*/logits-0.npy")
    np.save(logits, np.ones((2, N_CLASSES), np.float32))
    with pytest.raises(MeasurementError, match=r"logits-0\.npy is not the file"):
        target.infer(model, images, PREPROCESS, tmp_path / "jobs", Silent())


def test_garbage_model_does_not_infer(target: LocalTarget, tmp_path: Path) -> None:
    path = tmp_path / "garbage.onnx"
    path.write_bytes(b"nothing")
    images = np.zeros((2, *IMAGE_SHAPE), np.uint8)
    garbage = model_file(path)
    inference = target.infer(garbage, images, PREPROCESS, tmp_path / "jobs", Silent())
    assert inference.outcome.status == "failed" and inference.logits is None


def test_probe_sees_this_machine(target: LocalTarget) -> None:
    profile = target.probe()
    assert profile.engines["onnxruntime"] == onnxruntime.__version__
    assert profile.cores >= 1 and profile.cpu
    assert target.scheme == ("u8s8" if profile.machine == "x86_64" else "s8s8")


@pytest.mark.parametrize("key", ["../escape", "a/b", "", ".hidden", "x" * 129, "a\n"])
def test_key_that_is_no_file_name(target: LocalTarget, tmp_path: Path, key: str) -> None:
    model = replace(write_convolution(tmp_path / "a.onnx"), key=key)
    with pytest.raises(InputError, match="file-name-safe"):
        target.measure([model], MeasureSettings(), tmp_path / "jobs", Silent())
    assert not (tmp_path / "jobs").exists()


def test_missing_model_file(target: LocalTarget, tmp_path: Path) -> None:
    model = ModelFile("a", tmp_path / "missing.onnx", "0" * 64)
    with pytest.raises(InputError, match=r"missing\.onnx"):
        target.measure([model], SETTINGS, tmp_path / "jobs", Silent())


def test_images_of_the_wrong_type(target: LocalTarget, tmp_path: Path) -> None:
    model = write_convolution(tmp_path / "a.onnx")
    with pytest.raises(InputError, match="uint8"):
        target.infer(model, np.zeros((2, 3, 8, 8)), PREPROCESS, tmp_path / "jobs", Silent())


def test_settings_that_cannot_be(target: LocalTarget, tmp_path: Path) -> None:
    model = write_convolution(tmp_path / "a.onnx")
    with pytest.raises(InputError, match="max_passes"):
        target.measure([model], replace(SETTINGS, max_passes=2), tmp_path / "jobs", Silent())


def test_local_target_takes_no_connection_and_known_engines() -> None:
    config = TargetConfig(name="x", kind="local", source="x.toml")
    with pytest.raises(InputError, match="connection"):
        create(replace(config, connection=Connection(host="board")))
    with pytest.raises(InputError, match="Did you mean 'onnxruntime'"):
        create(replace(config, engine="onnxruntme"))


def test_a_folder_whose_name_is_no_utf_8_holds_jobs_too(
    target: LocalTarget, tmp_path: Path
) -> None:
    jobs = tmp_path / os.fsdecode(b"d-\xff\xe9")
    model = write_convolution(tmp_path / "model")
    outcome = target.measure([model], replace(SETTINGS, anchor=None), jobs, Silent())[model.key]
    assert (outcome.status, outcome.reason) == ("ok", "")
