"""The contract of the predictors, for every member."""

from __future__ import annotations

from types import ModuleType

import pytest

from edgenas.core import plugins
from edgenas.testing import PredictorContract


class TestPredictors(PredictorContract):
    @pytest.fixture(params=plugins.names("predictors"))
    def member(self, request: pytest.FixtureRequest) -> ModuleType:
        return plugins.load("predictors", request.param)
