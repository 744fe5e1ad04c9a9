"""What every target promises."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.contracts import TargetMember
from edgenas.core.errors import EdgeNasError
from edgenas.core.progress import Silent
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny
from edgenas.targets.base import MeasureSettings, ModelFile, Preprocess, Target
from edgenas.targets.config import TargetConfig
from edgenas.testing.members import MemberContract

SETTINGS = MeasureSettings(
    warmup_ms=1,
    run_ms=2,
    min_runs=5,
    min_passes=3,
    max_passes=3,
    anchor="model",
    busy_tolerance=100.0,  # other work on this machine must not decide how many passes there are
)


class TargetContract(MemberContract):
    """What a member of the family "targets" promises: a machine that is there and measures."""

    family = "targets"
    protocol = TargetMember

    @pytest.fixture
    def config(self) -> TargetConfig:
        """Return what the target is made of, as its target file says it."""
        return TargetConfig(self.name, self.name, "contract")

    @pytest.fixture
    def target(self, config: TargetConfig) -> Target:
        """Return the target."""
        created: Target = plugins.load("targets", self.name).create(config)
        return created

    @pytest.fixture
    def model(self, tmp_path: Path) -> ModelFile:
        space = mbv3_tiny.create(10, 3, 16)
        layers = space.layers(space.smallest())
        graph = lower(layers, random_state(layers, 0))
        images = np.random.default_rng(0).standard_normal(
            (16, 3, *graph.input_shape[2:]), np.float32
        )
        path = tmp_path / "model.onnx"
        path.write_bytes(plugins.load("exporters", "onnx").emit(graph, calibrate(graph, images)))
        return ModelFile("model", path, hashlib.sha256(path.read_bytes()).hexdigest())

    def test_says_what_it_is(self, target: Target) -> None:
        assert target.name and target.engine and target.scheme in ("u8s8", "s8s8", "dataflow")
        profile = target.probe()
        assert profile.target == target.name and profile.cores >= 1
        assert all(": " in problem for problem in profile.problems)  # each with what mends it

    def test_every_model_gets_one_outcome(
        self, target: Target, model: ModelFile, tmp_path: Path
    ) -> None:
        garbage = tmp_path / "garbage.onnx"
        garbage.write_bytes(b"garbage")
        bad = ModelFile("bad", garbage, hashlib.sha256(b"garbage").hexdigest())

        outcomes = target.measure([model, bad], SETTINGS, tmp_path / "jobs", Silent())

        assert set(outcomes) == {"model", "bad"}
        assert outcomes["bad"].status == "failed" and outcomes["bad"].reason
        assert outcomes["bad"].latency is None
        good = outcomes["model"]
        assert good.status == "ok" and good.reason == "" and good.provider
        assert good.latency is not None
        assert good.estimated or len(good.latency.samples_ns) == 3
        assert good.latency.median_ms > 0
        assert target.measure([model, bad], SETTINGS, tmp_path / "jobs", Silent()) == outcomes

    def test_logits_are_finite_and_in_image_order(
        self, target: Target, model: ModelFile, tmp_path: Path
    ) -> None:
        images = np.random.default_rng(0).integers(0, 256, (6, 3, 16, 16), np.uint8)
        images[3] = images[0]
        preprocess = Preprocess((0.5,) * 3, (0.25,) * 3)
        size = mbv3_tiny.create(10, 3, 16).smallest().resolution
        inference = target.infer(
            model, np.ascontiguousarray(images[:, :, :size, :size]), preprocess, tmp_path, Silent()
        )
        assert inference.outcome.status == "ok" and inference.logits is not None
        assert inference.logits.shape == (6, 10) and inference.logits.dtype == np.float32
        np.testing.assert_array_equal(inference.logits[0], inference.logits[3])
        assert not np.array_equal(inference.logits[0], inference.logits[1])

    def test_no_models_no_outcomes(self, target: Target, tmp_path: Path) -> None:
        assert target.measure([], SETTINGS, tmp_path, Silent()) == {}

    def test_bad_input_is_an_error_of_ours(
        self, target: Target, model: ModelFile, tmp_path: Path
    ) -> None:
        with pytest.raises(EdgeNasError):
            target.measure([model, model], SETTINGS, tmp_path, Silent())
        with pytest.raises(EdgeNasError):
            target.infer(
                model,
                np.zeros((0, 3, 16, 16), np.uint8),
                Preprocess((0,), (1,)),
                tmp_path,
                Silent(),
            )
