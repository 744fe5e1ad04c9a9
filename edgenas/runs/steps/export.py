"""export: the candidates of the search as int8 models, in the format of the target's engine.

Writes models/*.onnx or models/*.tflite, their cards *.json and their graphs *.safetensors.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgenas.core.records import ExportedModel
from edgenas.runs.run import RunContext


def run(context: RunContext, alone: bool = True) -> Sequence[ExportedModel]:
    """Export every candidate of search.json, with what its files do on the validation images.

    alone : candidates that the run wants to be trained alone are, before.
    """
    return context.source.export(alone=alone)
