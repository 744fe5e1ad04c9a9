"""FPGAs that are known, and what a target file says of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType

from edgenas.core.errors import InputError, nearest
from edgenas.core.records.hardware import FpgaDevice
from edgenas.hardware.dataflow import Multipliers, Thresholds

# Resources as the vendor's data sheets have them; block RAMs of 36 kbit count twice.
DEVICES = MappingProxyType(
    {
        device.name: device
        for device in (
            FpgaDevice("pynq-z1", 53_200, 220, 280, "xc7z020clg400-1", "Pynq-Z1"),
            FpgaDevice("pynq-z2", 53_200, 220, 280, "xc7z020clg400-1", "Pynq-Z2"),
            FpgaDevice("ultra96", 70_560, 360, 432, "xczu3eg-sbva484-1-e", "Ultra96"),
            FpgaDevice("kv260", 117_120, 1_248, 288, "xck26-sfvc784-2LV-c", "KV260_SOM"),
            FpgaDevice("zcu104", 230_400, 1_728, 624, "xczu7ev-ffvc1156-2-e", "ZCU104"),
            FpgaDevice("arty-a7-100t", 63_400, 240, 270, "xc7a100tcsg324-1"),
            FpgaDevice("zybo-z7-10", 17_600, 80, 120, "xc7z010clg400-1"),
        )
    }
)


@dataclass(frozen=True)
class FpgaSetup:
    """The table [fpga] of a target file.

    device : of the table of devices, or "" with luts, dsps and bram18 said here.
    images_per_s : for which layers are unrolled where no constraint says more.
    usable : share of the LUTs that is planned with: routing fails above.
    weights, activations : bits that may be chosen, stage by stage.
    reports : of syntheses of exported networks, files or folders, seen from the target file's.
    """

    device: str = ""
    luts: int | None = None
    dsps: int | None = None
    bram18: int | None = None
    clock_mhz: float = 100.0
    images_per_s: float = 100.0
    usable: float = 0.7
    multipliers: Multipliers = "lut"
    thresholds: Thresholds = "search"
    weights: tuple[int, ...] = (8,)
    activations: tuple[int, ...] = (8,)
    reports: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise `ValueError` for a number that is none."""
        for name in ("luts", "dsps", "bram18"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise ValueError(f"{name} is {value}: it must not be negative")
        if not 1 <= self.clock_mhz <= 1000:
            raise ValueError(f"clock_mhz is {self.clock_mhz}: it must be between 1 and 1000")
        if not 0 < self.images_per_s <= 1e9:
            raise ValueError(f"images_per_s is {self.images_per_s}: it must be above 0")
        for name in ("weights", "activations"):
            bits = getattr(self, name)
            if not bits or not set(bits) <= set(range(2, 9)):
                raise ValueError(f"{name} is {list(bits)}: it must be a list of bits from 2 to 8")
        if not 0 < self.usable <= 1:
            raise ValueError(f"usable is {self.usable}: it must be above 0, and at most 1")


def find_device(setup: FpgaSetup, where: str) -> FpgaDevice:
    """Return the device of a target file, with what it says otherwise.

    where : "The target file F", for messages.

    Raises
    ------
    InputError : the device is not known, or neither it nor all of its resources are said.
    """
    said = {name: getattr(setup, name) for name in ("luts", "dsps", "bram18")}
    if setup.device:
        known = DEVICES.get(setup.device)
        if known is None:
            raise InputError(
                f"{where} names the device '{setup.device}', which is not known.",
                f"{nearest(setup.device, DEVICES)} Or say luts, dsps and bram18 in its place.",
            )
        resources = {
            name: getattr(known, name) if value is None else value for name, value in said.items()
        }
        return replace(known, **resources)
    missing = [name for name, value in said.items() if value is None]
    if missing:
        raise InputError(
            f"{where} names no device, and no {' and '.join(missing)}.",
            f"Write device = one of {', '.join(DEVICES)} in its table [fpga].",
        )
    assert setup.luts is not None and setup.dsps is not None and setup.bram18 is not None
    return FpgaDevice("own", setup.luts, setup.dsps, setup.bram18)
