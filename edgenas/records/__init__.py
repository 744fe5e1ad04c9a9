"""The nouns: frozen records that travel between the steps, and their JSON.

`to_json` and `from_json` turn any record into plain JSON values and back; `from_json` checks every
type, so that a damaged file or a lying board ends in one clear line, not in a wrong number.
"""

from edgenas.records.codec import Record, canonical, from_json, to_json
from edgenas.records.int8_layers import Int8Layer, Int8Layers
from edgenas.records.measuring import (
    DataCard,
    DeviceProfile,
    Energy,
    EngineOffer,
    Evaluation,
    Latency,
    Measurement,
    Operator,
    OperatorProfile,
    Outcome,
)
from edgenas.records.networks import Activation, Architecture, Layer, LayerKind, StageChoice
from edgenas.records.results import (
    Candidate,
    Divergence,
    EngineParity,
    ExportedModel,
    FineTuned,
    Interval,
    Notes,
    ParityRecord,
    PredictedBy,
    SearchResult,
    Verification,
    VerifiedModel,
)

__all__ = [
    "Activation",
    "Architecture",
    "Candidate",
    "DataCard",
    "DeviceProfile",
    "Divergence",
    "Energy",
    "EngineOffer",
    "EngineParity",
    "Evaluation",
    "ExportedModel",
    "FineTuned",
    "Int8Layer",
    "Int8Layers",
    "Interval",
    "Latency",
    "Layer",
    "LayerKind",
    "Measurement",
    "Notes",
    "Operator",
    "OperatorProfile",
    "Outcome",
    "ParityRecord",
    "PredictedBy",
    "Record",
    "SearchResult",
    "StageChoice",
    "Verification",
    "VerifiedModel",
    "canonical",
    "from_json",
    "to_json",
]
