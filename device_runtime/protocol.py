"""The protocol between host and runtime: the job, the journal's records, and their validation.

A job folder holds `job.json`, `models/<key>`, for an infer job `images.npy`, and what the runtime
writes: `journal.jsonl`, one record a line, and `logits-<first image>.npy`. Both sides check all
that they read.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional, Tuple, Union

from device_runtime.readings import Powered, Profiled, Sensed
from device_runtime.validation import ProtocolError as ProtocolError  # noqa: PLC0414 - the host reads it here
from device_runtime.validation import build, canonical, parse, require

VERSION = 2
JOB_FILE = "job.json"
JOURNAL_FILE = "journal.jsonl"
MODELS_FOLDER = "models"
IMAGES_FILE = "images.npy"
MAX_RUNS = 2000  # of one model in one pass, so that a tiny model cannot flood the journal

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")

# ---------------------------------------------------------------- the job


@dataclass(frozen=True)
class Settings:
    """How to measure: see `edgenas.targets.base.MeasureSettings`, which has the same fields."""

    warmup_ms: float
    run_ms: float
    min_runs: int
    min_passes: int
    max_passes: int
    relative_ci: float
    busy_tolerance: float
    clock_tolerance: float
    heat_tolerance: float
    energy_s: float
    budget_s: float
    timeout_s: float
    anchor: Optional[str]
    seed: int

    def __post_init__(self) -> None:
        for name in ("run_ms", "relative_ci", "budget_s", "timeout_s"):
            require(getattr(self, name) > 0, f"{name} must be above zero")
        for name in (
            "warmup_ms",
            "energy_s",
            "busy_tolerance",
            "clock_tolerance",
            "heat_tolerance",
        ):
            require(getattr(self, name) >= 0, f"{name} must not be negative")
        require(1 <= self.min_runs <= MAX_RUNS, f"min_runs must be 1 to {MAX_RUNS}")
        require(self.min_passes >= 2, "min_passes must be 2 or more: one pass has no spread")
        require(self.min_passes <= self.max_passes, "max_passes must not be below min_passes")


@dataclass(frozen=True)
class JobModel:
    """A model of the job; its file is `models/<key>`.

    shapes : of inputs by name, where the file leaves a size open; the name may be empty for the
        only one.
    """

    key: str
    sha256: str
    shapes: Optional[Dict[str, Tuple[int, ...]]] = None

    def __post_init__(self) -> None:
        require(_KEY.match(self.key) is not None, f"{self.key!r} is not a file-name-safe key")
        require(_SHA256.match(self.sha256) is not None, "sha256 must be 64 hexadecimal digits")
        sizes = [size for shape in (self.shapes or {}).values() for size in shape]
        require(all(0 < size < 2**31 for size in sizes), "a size of a shape is out of range")


@dataclass(frozen=True)
class Images:
    """What an infer job runs on: `images.npy`, uint8 [n, channels, height, width].

    mean, std : a channel, as fractions of 255; without them the file is float32 [n, …], which the
        model takes as it is.
    """

    sha256: str
    mean: Tuple[float, ...]
    std: Tuple[float, ...]

    def __post_init__(self) -> None:
        require(_SHA256.match(self.sha256) is not None, "sha256 must be 64 hexadecimal digits")
        require(len(self.mean) == len(self.std), "mean and std must be as long as each other")
        require(all(value > 0 for value in self.std), "std must be above zero")


@dataclass(frozen=True)
class Job:
    """What to do: time all models ("measure"), run the only one on images ("infer"), or time each
    operator of all models ("profile").

    affinity : cores to run on; empty for all.
    """

    version: int
    kind: str
    engine: str
    threads: int
    affinity: Tuple[int, ...]
    models: Tuple[JobModel, ...]
    settings: Settings
    images: Optional[Images] = None

    def __post_init__(self) -> None:
        require(self.version == VERSION, f"version is {self.version}, this side speaks {VERSION}")
        require(self.kind in ("measure", "infer", "profile"), f"kind is {self.kind!r}")
        require(_NAME.match(self.engine) is not None, f"{self.engine!r} is not an engine's name")
        require(1 <= self.threads <= 1024, "threads must be 1 to 1024")
        require(all(core >= 0 for core in self.affinity), "affinity has a negative core")
        require(len(self.models) > 0, "there are no models")
        require(len(set(self.keys)) == len(self.models), "two models have the same key")
        anchor = self.settings.anchor
        require(anchor is None or anchor in self.keys, f"the anchor {anchor!r} is not a model")
        infers = self.kind == "infer"
        require(
            infers == (self.images is not None), "images belong to an infer job, and only there"
        )
        require(not infers or len(self.models) == 1, "an infer job has one model")

    @property
    def keys(self) -> Tuple[str, ...]:
        return tuple(model.key for model in self.models)

    def to_json(self) -> str:
        """Return the one text of this job: sorted keys, no spaces, no shapes that nobody asked for.

        So a job is the same as before there were shapes, and its journal goes on.
        """
        document = asdict(self)
        for model in document["models"]:
            if model["shapes"] is None:
                del model["shapes"]
        return canonical(document)

    @property
    def job_id(self) -> str:
        """The SHA-256 of the job's text: a journal belongs to one job only."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def parse_job(text: str) -> Job:
    """Return the job that `text` describes; `ProtocolError` if it is not a valid one."""
    return build(Job, parse(text, "job"), "job")


# ---------------------------------------------------------------- the journal


@dataclass(frozen=True)
class Started:
    """The runtime started, first or again; what follows is done by this engine on this machine."""

    version: int
    job: str
    engine: str
    engine_version: str
    machine: Dict[str, Any]


@dataclass(frozen=True)
class Checked:
    """A fresh process loaded and ran the model: what ran it, and the most memory it held."""

    key: str
    provider: str
    affinity: Tuple[int, ...]
    rss_before_bytes: Optional[int]
    peak_rss_bytes: Optional[int]
    seconds: float

    def __post_init__(self) -> None:
        require(self.seconds >= 0, "seconds are negative")
        peak = self.peak_rss_bytes
        require(peak is None or 0 < peak < 2**50, "peak_rss_bytes is out of range")


@dataclass(frozen=True)
class Timed:
    """Raw inference times of one model in one pass, nanoseconds; they count once the pass ends.

    before, after : the machine around them. waited_ns : how long the worker had no core in them.
    """

    index: int
    key: str
    samples_ns: Tuple[int, ...]
    before: Optional[Sensed] = None
    after: Optional[Sensed] = None
    waited_ns: Optional[int] = None

    def __post_init__(self) -> None:
        require(1 <= len(self.samples_ns) <= MAX_RUNS, "the number of samples is out of range")
        in_range = all(0 < sample < 3600 * 10**9 for sample in self.samples_ns)
        require(in_range, "samples_ns has a time that is not between 0 and an hour")
        waited = self.waited_ns
        require(waited is None or 0 <= waited < 2**63, "waited_ns is out of range")


@dataclass(frozen=True)
class PassEnded:
    """Pass `index` is whole. before, after : machine state around it.

    own_cpu_s : processor time that the runtime and its workers used in it.
    """

    index: int
    seconds: float
    before: Dict[str, Any]
    after: Dict[str, Any]
    own_cpu_s: Optional[float] = None

    def __post_init__(self) -> None:
        require(self.seconds >= 0, "seconds are negative")
        require(self.own_cpu_s is None or self.own_cpu_s >= 0, "own_cpu_s is negative")


@dataclass(frozen=True)
class Failed:
    """The model cannot be measured; `stage` is check, timing, infer or profile."""

    key: str
    stage: str
    reason: str

    def __post_init__(self) -> None:
        known = ("check", "timing", "infer", "profile")
        require(self.stage in known, f"stage is {self.stage!r}")


@dataclass(frozen=True)
class Inferred:
    """The logits of `rows` images from number `first` on are in `file`, float32 [rows, classes]."""

    key: str
    first: int
    rows: int
    classes: int
    sha256: str

    def __post_init__(self) -> None:
        require(self.first >= 0 and self.rows > 0 and self.classes > 0, "a count is out of range")

    @property
    def file(self) -> str:
        return logits_file(self.first)


@dataclass(frozen=True)
class Ended:
    """Nothing is left to do ("finished"), or the device time is spent ("budget")."""

    why: str

    def __post_init__(self) -> None:
        require(self.why in ("finished", "budget"), f"why is {self.why!r}")


Record = Union[Started, Checked, Timed, PassEnded, Failed, Inferred, Profiled, Powered, Ended]
_RECORDS: Dict[str, Any] = {
    "started": Started,
    "checked": Checked,
    "timed": Timed,
    "pass": PassEnded,
    "failed": Failed,
    "inferred": Inferred,
    "profiled": Profiled,
    "powered": Powered,
    "ended": Ended,
}
_TYPE_OF = {kind: name for name, kind in _RECORDS.items()}
_SEAL = "crc32"
_SEAL_LENGTH = len(f',"{_SEAL}":"00000000"}}')


def write_record(record: Record, sealed: bool = True) -> str:
    """Return the journal line of `record`, without the line's end; sealed : with its checksum."""
    text = canonical({"type": _TYPE_OF[type(record)], **asdict(record)})
    return _sealed(text) if sealed else text


def _sealed(text: str) -> str:
    """Return a JSON object's text with the CRC-32 of that text as its last member."""
    checksum = zlib.crc32(text.encode("utf-8", "surrogatepass"))
    return f'{text[:-1]},"{_SEAL}":"{checksum:08x}"}}'


def logits_file(first: int) -> str:
    """Return the name of the file that holds the logits from image number `first` on."""
    return f"logits-{first}.npy"


def is_sealed(text: str) -> bool:
    """Return whether a journal line has a checksum, as those of runtimes of before have not."""
    return f'"{_SEAL}":"' in text[-_SEAL_LENGTH:]


def parse_record(text: str) -> Record:
    """Return the record that a journal line holds; `ProtocolError` if it is not a valid one.

    Lines of runtimes before checksums have none, and are read too.
    """
    value = parse(text, "record")
    name = value.pop("type", None) if isinstance(value, dict) else None
    if not isinstance(name, str) or name not in _RECORDS:
        raise ProtocolError("a record has no known type")
    if _SEAL in value:
        del value[_SEAL]
        require(text == _sealed(f"{text[:-_SEAL_LENGTH]}}}"), "its checksum does not fit: damaged")
    record: Record = build(_RECORDS[name], value, name)
    return record


class RecordReader:
    """Reads the lines of one journal in their order."""

    def __init__(self) -> None:
        self._sealed = False

    def read(self, text: str) -> Record:
        """Return the next line's record; `ProtocolError` if it is not a valid one.

        Behind a line with a checksum each line has one: a runtime that writes none is an older
        one, and its lines come first.
        """
        record, sealed = parse_record(text), is_sealed(text)
        require(sealed or not self._sealed, "it has no checksum, and lines before it have one")
        self._sealed = sealed
        return record


@dataclass(frozen=True)
class Profile:
    """What `--probe` prints: the machine, its state now, and the engines that it has."""

    version: int
    machine: Dict[str, Any]
    state: Dict[str, Any]
    engines: Dict[str, str]

    def __post_init__(self) -> None:
        require(self.version == VERSION, f"version is {self.version}, this side speaks {VERSION}")


def parse_profile(text: str) -> Profile:
    """Return the profile that `text` holds; `ProtocolError` if it is not a valid one."""
    return build(Profile, parse(text, "profile"), "profile")
