"""What every exporter promises."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np
import pytest

from edgenas.core.contracts import ExporterMember
from edgenas.core.errors import ExportError
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.quantize import SCHEMES
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.spaces import mbv3_tiny
from edgenas.testing.members import MemberContract

N_IMAGES = 64


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its calibrated ranges, images [n, 3, size, size] and what it makes of them."""

    graph: Graph
    ranges: Ranges
    images: np.ndarray
    reference: np.ndarray


class ExporterContract(MemberContract):
    """What a member of the family "exporters" promises; `run` says how its files are run."""

    family = "exporters"
    protocol = ExporterMember

    def run(self, model: bytes, images: np.ndarray) -> np.ndarray:
        """Return the logits of a file, float32 [n, classes], of images [n, channels, h, w]."""
        raise NotImplementedError("Say how files of this exporter are run.")

    @pytest.fixture(params=[False, True], ids=["plain", "squeeze-excite"])
    def case(self, request: pytest.FixtureRequest) -> Case:
        space = mbv3_tiny.create(10, 3, 16)
        stages = tuple(replace(stage, squeeze_excite=request.param) for stage in space.stages)
        space = replace(space, stages=stages)
        layers = space.layers(space.sample(np.random.default_rng(4)))
        graph = lower(layers, random_state(layers, 4))
        shape = (N_IMAGES, *graph.input_shape[1:])
        images = np.random.default_rng(0).standard_normal(shape, np.float32)
        return Case(graph, calibrate(graph, images), images, run(graph, images))

    def test_float_model_computes_the_reference(self, member: ModuleType, case: Case) -> None:
        logits = self.run(member.emit(case.graph, None), case.images)
        np.testing.assert_allclose(logits, case.reference, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_int8_model_agrees_with_the_reference(
        self, member: ModuleType, case: Case, scheme: str
    ) -> None:
        model = member.emit(case.graph, case.ranges, scheme=scheme)
        logits, reference = self.run(model, case.images), case.reference
        noise = np.square(logits - reference).sum()
        sqnr_db = 10 * np.log10(np.square(reference).sum() / noise)

        assert sqnr_db > 25
        assert (logits.argmax(1) == reference.argmax(1)).mean() >= 0.9

    def test_same_graph_gives_the_same_bytes(self, member: ModuleType, case: Case) -> None:
        for ranges in (None, case.ranges):
            assert member.emit(case.graph, ranges) == member.emit(case.graph, ranges)
        backwards = dict(reversed(case.ranges.items()))
        assert member.emit(case.graph, backwards) == member.emit(case.graph, case.ranges)

    def test_unknown_scheme_and_missing_range_are_one_clear_line(
        self, member: ModuleType, case: Case
    ) -> None:
        with pytest.raises(ExportError, match="no int8 scheme 's8u8'"):
            member.emit(case.graph, case.ranges, scheme="s8u8")
        with pytest.raises(ExportError, match="no range for the tensor 'logits'"):
            member.emit(case.graph, {k: v for k, v in case.ranges.items() if k != "logits"})

    def test_a_model_file_has_a_suffix(self, member: ModuleType) -> None:
        assert member.FILE_SUFFIX.startswith(".")
