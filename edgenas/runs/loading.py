"""Load by name: spaces, images, targets and tables, as `import edgenas` offers them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from edgenas.core.progress import Progress, Silent
from edgenas.core.records import Fit

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgenas.core.tables.file import Table
    from edgenas.data.base import Dataset
    from edgenas.spaces.base import MobileSpace
    from edgenas.targets.base import Target
    from edgenas.targets.config import Access


class AccessOptions(TypedDict, total=False):
    """What a board over SSH is allowed; nothing, and nobody is asked, where it is left out.

    ask_password : returns a secret for a prompt.
    """

    accept_new_host_key: bool
    offline: bool
    ask_password: Callable[[str], str] | None


def load_space(
    name: str, num_classes: int = 10, in_channels: int = 3, image_size: int = 32
) -> MobileSpace:
    """Return a search space for images of `image_size` pixels.

    Parameters
    ----------
    name : of a space, or a file that defines one: FILE.toml, or FILE.py, whose code runs.

    Raises
    ------
    InputError : there is none of that name, or the file cannot be used; names the nearest.
    """
    from edgenas.spaces import files

    return files.find(name).create(num_classes, in_channels, image_size)


def load_data(
    data: str, *, seed: int = 0, fit: Fit | None = None, progress: Progress | None = None
) -> Dataset:
    """Return the labelled images of "digits", "imagefolder:DIR" or "hf:NAME".

    Parameters
    ----------
    seed : chooses the validation images where the data set has none.
    fit : how images become square.

    Raises
    ------
    PluginError : there is no such kind of data. DataError : the images cannot be used.
    """
    from edgenas.data import base

    return base.load(data, seed=seed, progress=progress or Silent(), fit=fit)


def load_target(
    name: str,
    engine: str | None = None,
    **allowed: Unpack[AccessOptions],
) -> Target:
    """Return a machine that measures; it is not connected to before it is asked for something.

    Parameters
    ----------
    name : a name in targets/, user@host, or a .toml file.
    engine : in place of the target file's, such as "onnxruntime" or "litert".
    allowed : accept_new_host_key, offline, ask_password, as of `search`.

    Raises
    ------
    InputError : there is none of that name, or its file has a wrong key or value.
    """
    from edgenas.targets.config import resolve

    return resolve(name, make_access(Silent().message, **allowed), engine=engine)


def read_csv(path: Path | str, without: Collection[int] = ()) -> Table:
    """Return the columns of a table: .csv, .tsv, .txt, .jsonl, .parquet or .xlsx.

    Columns of numbers are float64 [n], others str [n]; `notes` says what was read otherwise than
    it stands in the file.

    without : rows, from 1 on, that are read as empty.

    Raises
    ------
    PredictorError : it cannot be read as a table; there is no such row.
    """
    from edgenas.core.tables.file import read_table

    return read_table(Path(path), without)


def make_access(told: Callable[[str], None], **allowed: Unpack[AccessOptions]) -> Access:
    """Return what a remote target is allowed; `told` takes each message once."""
    from edgenas.targets.config import Access

    said: set[str] = set()

    def tell_once(text: str) -> None:  # a target is opened again for each engine that is tried
        if text not in said:
            said.add(text)
            told(text)

    return Access(
        allowed.get("accept_new_host_key", False),
        allowed.get("ask_password"),
        allowed.get("offline", False),
        tell_once,
    )
