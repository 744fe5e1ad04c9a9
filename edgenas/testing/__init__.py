"""The contracts of the plug-in families, for the test suite of a plug-in.

    from edgenas.testing import SpaceContract

    class TestOurs(SpaceContract):
        name = "ours"

Needs pytest, which edgenas itself does not.
"""

import pytest

for _family in ("exporters", "members", "optimizers", "predictors", "spaces", "targets", "tasks"):
    pytest.register_assert_rewrite(f"edgenas.testing.{_family}")

from edgenas.testing.exporters import ExporterContract  # noqa: E402
from edgenas.testing.optimizers import OptimizerContract  # noqa: E402
from edgenas.testing.predictors import PredictorContract  # noqa: E402
from edgenas.testing.spaces import SpaceContract  # noqa: E402
from edgenas.testing.targets import TargetContract  # noqa: E402
from edgenas.testing.tasks import TaskContract  # noqa: E402

__all__ = [
    "ExporterContract",
    "OptimizerContract",
    "PredictorContract",
    "SpaceContract",
    "TargetContract",
    "TaskContract",
]
