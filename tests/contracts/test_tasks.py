"""The contract of tasks, for every member."""

from __future__ import annotations

from types import ModuleType

import pytest

from edgenas.core import plugins
from edgenas.testing import TaskContract


class TestTasks(TaskContract):
    @pytest.fixture(params=plugins.names("tasks"))
    def member(self, request: pytest.FixtureRequest) -> ModuleType:
        return plugins.load("tasks", request.param)
