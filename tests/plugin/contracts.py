"""The contracts that the members of this distribution keep: pytest tests/plugin/contracts.py."""

from __future__ import annotations

from edgenas.spaces.base import MobileSpace
from edgenas.testing import PredictorContract, SpaceContract, TargetContract, TaskContract


class TestResidual(SpaceContract):
    name = "residual"

    def test_the_price_of_the_gate_is_told(self, space: MobileSpace) -> None:
        few = space.smallest()
        with_gate = [
            one for one in space.neighbors(few) if "gate with" in space.changes(few, one)[0]
        ]
        assert len(with_gate) == 2
        assert space.changes(few, with_gate[1]) == (
            "gate with instead of without in block 1 of stage 2",
        )


class TestRidge(PredictorContract):
    name = "ridge"


class TestExample(TargetContract):
    name = "example"


class TestMultilabel(TaskContract):
    name = "multilabel"
