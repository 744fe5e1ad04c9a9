"""The contract of the optimizers, for every member; `exact` evaluates a whole table or none."""

from __future__ import annotations

from types import ModuleType

import pytest

from edgenas.core import plugins
from edgenas.testing import OptimizerContract


class TestOptimizers(OptimizerContract):
    @pytest.fixture(params=sorted(set(plugins.names("optimizers")) - {"exact"}))
    def member(self, request: pytest.FixtureRequest) -> ModuleType:
        return plugins.load("optimizers", request.param)


class TestExact(OptimizerContract):
    name = "exact"
    takes_tables = False
