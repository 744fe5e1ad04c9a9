"""The contract of the targets, for every kind; a new one needs a config below."""

from __future__ import annotations

from types import ModuleType

import pytest

from edgenas.core import plugins
from edgenas.hardware.devices import FpgaSetup
from edgenas.targets import config
from edgenas.targets.base import Target
from edgenas.testing import TargetContract

CONFIGS = {
    "fpga": lambda request: config.TargetConfig(
        "fpga", "fpga", "contract", fpga=FpgaSetup("pynq-z2")
    ),
    "local": lambda request: config.TargetConfig("local", "local", "contract"),
    "ssh": lambda request: request.getfixturevalue("board").target_config(),
}


class TestTargets(TargetContract):
    @pytest.fixture(params=plugins.names("targets"))
    def member(self, request: pytest.FixtureRequest) -> ModuleType:
        return plugins.load("targets", request.param)

    @pytest.fixture
    def target(self, member: ModuleType, request: pytest.FixtureRequest) -> Target:
        name = self.name_of(member)
        created: Target = member.create(CONFIGS[name](request))
        return created
