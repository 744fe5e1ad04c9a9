"""An FPGA that nobody synthesised for yet: a model of it, whose every figure is estimated.

Networks run on this machine, which tells their accuracy; their time and what they take of the
device follow from formulas (`edgenas.hardware`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgenas.core.errors import InputError, MeasurementError
from edgenas.core.progress import Progress
from edgenas.core.records import DeviceProfile, Latency, Outcome
from edgenas.core.records.hardware import FORMULAS
from edgenas.hardware.dataflow import Style
from edgenas.hardware.devices import FpgaSetup, find_device
from edgenas.hardware.pipeline import Factors, Pipeline
from edgenas.int8.graph.quantize import DATAFLOW
from edgenas.int8.work.onnx_file import read_layers
from edgenas.targets.base import MeasureSettings, ModelFile
from edgenas.targets.config import Access, TargetConfig
from edgenas.targets.local import LocalTarget

ENGINE = "dataflow"  # what an outcome calls the formulas


def create(config: TargetConfig, access: Access | None = None) -> FpgaTarget:
    """Return the target that `config` describes; it needs no `access`."""
    return FpgaTarget(config)


class FpgaTarget(LocalTarget):
    """See `base.Target`: `measure` estimates, `infer` runs on this machine.

    pipeline : how networks become pipelines on the device. setup : what its file says.
    report_paths : of syntheses that its file names. basis : what the estimates rest on where
        reports calibrate them, in sentences.
    """

    def __init__(self, config: TargetConfig) -> None:
        where = f"The target file {config.source}"
        if config.engine != "onnxruntime":
            raise InputError(
                f"{where} names the engine {config.engine}: networks of an FPGA run on this "
                "machine in onnxruntime.",
                "Leave the engine out.",
            )
        super().__init__(config)
        self.setup = setup = config.fpga or FpgaSetup()
        folder = Path(config.source).parent
        self.report_paths = tuple(folder / one for one in setup.reports)
        self.pipeline = Pipeline(
            find_device(setup, where),
            setup.clock_mhz,
            setup.images_per_s,
            setup.usable,
            Style(setup.multipliers, setup.thresholds),
        )
        self.basis: tuple[str, ...] = ()

    def calibrate(self, factors: Factors, basis: tuple[str, ...]) -> None:
        """Estimate with these factors from now on, and say what they rest on."""
        self.pipeline = replace(self.pipeline, factors=factors)
        self.basis = basis

    @property
    def scheme(self) -> str:
        """Zero points of 0 alone, as a pipeline has them."""
        return DATAFLOW

    def probe(self) -> DeviceProfile:
        """Return what this machine is, as the board the device: it is looked up, not reached."""
        device, host = self.pipeline.device, super().probe()
        limits = self.pipeline.limits()
        board = (
            f"{device.name} at {self.pipeline.clock_mhz:g} MHz, estimated: "
            f"{limits['luts']:,.0f} of {device.luts:,} LUTs, {device.dsps:,} DSPs, "
            f"{device.bram18:,} block RAMs of 18 kbit"
        )
        return replace(host, board=board, problems=(), sensors=())

    def measure(
        self,
        models: Sequence[ModelFile],
        settings: MeasureSettings,
        job_dir: Path,
        progress: Progress,
    ) -> dict[str, Outcome]:
        """Estimate how long one image takes through each model's pipeline; nothing is timed.

        Raises
        ------
        MeasurementError : two models have one key.
        """
        if len({model.key for model in models}) < len(models):
            raise MeasurementError(f"Two models for target '{self.name}' have one name.")
        return {model.key: self._estimated(model) for model in models}

    def _estimated(self, model: ModelFile) -> Outcome:
        about = (ENGINE, "1", " ".join(self.basis) or FORMULAS, {"threads": 1})
        try:
            layers = read_layers(model.path.read_bytes(), model.shapes or {})
            estimate = self.pipeline.estimate(layers)
        except InputError as problem:
            return Outcome("failed", str(problem), *about)
        ms = estimate.latency_ms
        whole_ns = max(1, round(ms * 1e6))
        latency = Latency(ms, ms, (ms, ms), ((whole_ns,),), (1.0,), True)
        return Outcome("ok", "", *about, latency, estimated=True)
