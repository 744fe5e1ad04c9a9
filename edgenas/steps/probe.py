"""probe: look at the target. Writes profile.json."""

from __future__ import annotations

from edgenas.records import DeviceProfile, to_json
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json


def run(context: RunContext) -> DeviceProfile:
    """Probe the run's target; its problems become warnings."""
    profile = context.target.probe()
    write_json(context.folder.profile, to_json(profile))
    for problem in profile.problems:
        context.progress.warning(problem)
    return profile
