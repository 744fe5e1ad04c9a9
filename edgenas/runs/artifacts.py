"""The records that a run keeps: which file each is in. They are read and written here alone."""

from __future__ import annotations

from typing import Any, TypeVar

from edgenas.core.errors import RunFolderError
from edgenas.core.files.run_folder import Place, RunFolder, read_json, write_json
from edgenas.core.records import (
    DataCard,
    DeviceProfile,
    ExportedModel,
    Notes,
    SearchResult,
    Verification,
    from_json,
    to_json,
)
from edgenas.core.records.growth import Growth
from edgenas.core.records.int8_layers import Int8Layers
from edgenas.core.records.roofline import Roofline
from edgenas.core.records.tables import LookedUpRows, TableCard
from edgenas.core.records.warm_starts import WarmStart
from edgenas.reporting.document import PredictorReport

Record = TypeVar("Record")
Explanation = tuple[PredictorReport, ...]

# Also run.json, by `config`: it has a format and a version beside its record.
ARTIFACTS: dict[Any, Place] = {
    DataCard: RunFolder.data,
    DeviceProfile: RunFolder.profile,
    TableCard: RunFolder.table,
    LookedUpRows: RunFolder.looked_up,
    SearchResult: RunFolder.search,
    ExportedModel: RunFolder.card,
    Verification: RunFolder.verification,
    Explanation: RunFolder.explanation,
    Int8Layers: RunFolder.int8_layers,
    Roofline: RunFolder.roofline,
    Growth: RunFolder.growth,
    WarmStart: RunFolder.warm_start,
    Notes: RunFolder.notes,
}


def read(folder: RunFolder, kind: type[Record], network: str = "") -> Record:
    """Return a record of the run; `network` : by its short name, of what each network has.

    Raises
    ------
    RunFolderError : it is not there yet, and which step makes it; or it is damaged.
    """
    file = ARTIFACTS[kind]
    path = file.of(folder, network)
    if file.step:
        folder.require(path, file.step)
    return from_json(read_json(path), kind, str(path), RunFolderError)


def find(folder: RunFolder, kind: type[Record], network: str = "") -> Record | None:
    """Return the same; None where it is not there."""
    there = ARTIFACTS[kind].of(folder, network).exists()
    return read(folder, kind, network) if there else None


def write(folder: RunFolder, record: Any, network: str = "") -> None:
    """Write a record of the run, in place of the one before."""
    kind = Explanation if isinstance(record, tuple) else type(record)
    write_json(ARTIFACTS[kind].of(folder, network), to_json(record))
