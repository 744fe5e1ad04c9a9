"""The nouns: frozen records that travel between the steps, and their JSON.

`to_json` and `from_json` turn any record into plain JSON values and back; `from_json` checks every
type, so that a damaged file or a lying board ends in one clear line, not in a wrong number.
"""

from edgenas.core.records.answers import Answers
from edgenas.core.records.baseline import AlikeNetworks, Baseline, alike_networks
from edgenas.core.records.bench import Bench, BenchChange, BenchRow
from edgenas.core.records.codec import Record, canonical, from_json, to_json
from edgenas.core.records.confusion import ClassResult, Confusion
from edgenas.core.records.export import ExportedModel, FineTuned
from edgenas.core.records.goals import Limit, Objective
from edgenas.core.records.image_input import FITS, Fit, ImageInput
from edgenas.core.records.int8_layers import Int8Layer, Int8Layers
from edgenas.core.records.intervals import Interval
from edgenas.core.records.measuring import (
    DataCard,
    DeviceProfile,
    Energy,
    EngineDecision,
    EngineOffer,
    EngineTrial,
    Evaluation,
    Latency,
    Measurement,
    Operator,
    OperatorProfile,
    Outcome,
)
from edgenas.core.records.networks import (
    Activation,
    Architecture,
    Layer,
    LayerKind,
    Network,
    Option,
    StageChoice,
    TableRow,
)
from edgenas.core.records.notes import Notes
from edgenas.core.records.search import Candidate, PredictedBy, SearchResult
from edgenas.core.records.seen import Seen
from edgenas.core.records.verdicts import RunVerdict, VerifiedFrom
from edgenas.core.records.verification import (
    Divergence,
    EngineParity,
    ParityRecord,
    TableTruth,
    Verification,
    Verified,
    VerifiedModel,
    VerifiedRow,
)

__all__ = [
    "FITS",
    "Activation",
    "AlikeNetworks",
    "Answers",
    "Architecture",
    "Baseline",
    "Bench",
    "BenchChange",
    "BenchRow",
    "Candidate",
    "ClassResult",
    "Confusion",
    "DataCard",
    "DeviceProfile",
    "Divergence",
    "Energy",
    "EngineDecision",
    "EngineOffer",
    "EngineParity",
    "EngineTrial",
    "Evaluation",
    "ExportedModel",
    "FineTuned",
    "Fit",
    "ImageInput",
    "Int8Layer",
    "Int8Layers",
    "Interval",
    "Latency",
    "Layer",
    "LayerKind",
    "Limit",
    "Measurement",
    "Network",
    "Notes",
    "Objective",
    "Operator",
    "OperatorProfile",
    "Option",
    "Outcome",
    "ParityRecord",
    "PredictedBy",
    "Record",
    "RunVerdict",
    "SearchResult",
    "Seen",
    "StageChoice",
    "TableRow",
    "TableTruth",
    "Verification",
    "Verified",
    "VerifiedFrom",
    "VerifiedModel",
    "VerifiedRow",
    "alike_networks",
    "canonical",
    "from_json",
    "to_json",
]
