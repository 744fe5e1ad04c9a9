"""The functions of `import edgenas`; the command line calls them too."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgenas.core.errors import nearest
from edgenas.core.progress import Progress, Silent
from edgenas.core.records import Fit
from edgenas.core.run_options import OPTIONS
from edgenas.runs.loading import AccessOptions, make_access
from edgenas.runs.results import Boards, Run

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from edgenas.targets.config import Access


class SearchOptions(AccessOptions, total=False):
    """The options of a search, as of `edgenas search`; what is left out has its default there."""

    engine: str
    space: str
    max_latency_ms: float
    confidence: float
    samples: int
    evaluate: int
    epochs: int
    batch_size: int
    supernet: str
    fit: Fit
    finetune: int
    top: int
    seed: int
    optimizer: str
    target_mape: float
    target_gain: float
    device_time_s: float
    objectives: Sequence[str]
    constraints: Sequence[str]
    budget: int
    predictor: str
    reward: str | None
    warm_start: str
    image_size: int
    time_s: float
    task: str


def search(
    target: str | None = None,
    data: str | None = None,
    *,
    out: Path | str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **options: Unpack[SearchOptions],
) -> Run:
    """Train, measure, predict, search, export, verify and report: the whole product.

    Parameters
    ----------
    target : a name in targets/, user@host, or a .toml file; this computer if left out.
    data : "digits", "imagefolder:DIR" or "hf:NAME"; the digits if left out.
    out : run folder; runs/TIME if left out, or with `resume` the run that was started last.
    resume : go on with the run that is there; finished work is reused.
    progress : where tasks, messages and warnings go; nowhere if left out.
    options : those of `edgenas search`, such as max_latency_ms=5.0 or constraints=["size<=80kB"];
        and what a board over SSH is allowed: accept_new_host_key, offline, and ask_password, which
        returns a secret for a prompt; without it nobody is asked.

    Returns
    -------
    The run. Its `status` is "pass" only if an exported int8 network met the limit on the target
    when it was measured there, and its outputs are right; "fail" is no error.

    Raises
    ------
    InputError : what is asked for is wrong. InfeasibleError : no network of the space meets it.
    TargetError, TrainingError, ExportError : a step cannot go on; `resume` goes on where it was.
    TypeError : no such option.
    """
    from edgenas.runs import search as steps

    path, progress = _run_path(out, resume), progress or Silent()
    asked, access = _read(options, progress, target=target, data=data)
    document = steps.search(path, asked, progress, resume, access)
    return Run(path, progress, access, document)


def search_boards(
    targets: Sequence[str] = (),
    data: str | None = None,
    *,
    engines: Sequence[str] = (),
    out: Path | str | None = None,
    resume: bool = False,
    progress: Progress | None = None,
    **options: Unpack[SearchOptions],
) -> Boards:
    """Search on several boards, or with several engines, over one supernet.

    Parameters
    ----------
    targets, engines : empty for those that the run was started with.

    The others are those of `search`. A board that fails stops no other: it is in `failed`.
    """
    from edgenas.runs.boards import search as boards

    path, progress = _run_path(out, resume), progress or Silent()
    asked, access = _read(options, progress, data=data)
    document = boards.search_several(
        path, list(targets), asked, progress, resume, engines=list(engines), access=access
    )
    runs, failed = {}, {}
    for entry in document["boards"]:
        if entry["status"] == "error":
            failed[entry["target"]] = entry["error"]
        else:
            runs[entry["target"]] = Run(Path(entry["run"]), progress, access, entry)
    return Boards(path, runs, failed, document)


def open_run(
    path: Path | str, *, progress: Progress | None = None, **allowed: Unpack[AccessOptions]
) -> Run:
    """Return the run in a folder; it may be unfinished.

    allowed : accept_new_host_key, offline, ask_password, as of `search`.

    Raises
    ------
    RunFolderError : it is no run folder, or one of a newer version, or run.json is damaged.
    """
    from edgenas.core.files.run_folder import RunFolder
    from edgenas.runs.config import read_config

    path, progress = Path(path), progress or Silent()
    read_config(RunFolder(path))
    return Run(path, progress, make_access(progress.message, **allowed))


def train_supernet(
    output: Path | str,
    data: str = "digits",
    *,
    space: str = "mbv3-tiny",
    augment: Literal["auto", "none", "shift", "flip", "strong"] = "auto",
    fit: Fit = "crop",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Train the supernet of a space on images, into the file `output`.

    settings : epochs, seed, batch_size, learning_rate, random_subnets, qat_epochs, ema.

    Returns
    -------
    The JSON document of `edgenas train`; {} in processes of `torchrun` that are not the first.

    Raises
    ------
    InputError : `output` is there already, or an interrupted training without `resume`.
    DataError : the images cannot be used. TrainingError : the training cannot go on.
    """
    from edgenas.supernet import train_file

    return train_file.train(
        Path(output),
        data,
        space,
        augment,
        settings,
        progress or Silent(),
        resume,
        fit,
        overwrite=overwrite,
    )


def package_supernet(
    supernet: Path | str,
    data: str,
    *,
    evaluate: int = 256,
    val_images: int = 500,
    test_images: int = 1000,
    synthetic: bool = False,
    note: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Put beside a trained supernet what a search needs, so that it starts without the images.

    Parameters
    ----------
    data : the images that it was trained on.
    evaluate : subnets whose accuracy comes with it. val_images, test_images : so many come with it.
    synthetic : images made from noise come with it instead of images of the data set.
    note : what a reader of its figures must know of the images.

    Returns
    -------
    The card; {} in processes of `torchrun` that are not the first.

    Raises
    ------
    InputError : `supernet` is none. DataError : it was trained on other images.
    """
    from edgenas.supernet.packages import make
    from edgenas.supernet.packages.images import Excerpt

    images: Any = Excerpt(val_images, test_images)
    if synthetic:
        from edgenas.supernet.synthesis import Synthesis

        images = Synthesis()
    return make.package(
        Path(supernet),
        data,
        evaluate,
        images,
        progress or Silent(),
        note=note,
        overwrite=overwrite,
    )


def _read(
    options: SearchOptions, progress: Progress, **more: str | None
) -> tuple[dict[str, Any], Access]:
    """Return the options that were given, as of the command line, and what a board is allowed."""
    for name in options:
        known = {*OPTIONS, *AccessOptions.__annotations__}
        if name not in known:
            hint = nearest(name, sorted(known))
            raise TypeError(f"There is no option '{name}'. {hint}")
    given: dict[str, Any] = {**options, **more}
    allowed: Any = {name: given.pop(name) for name in AccessOptions.__annotations__ & given.keys()}
    asked = {
        name: tuple(value) if name in ("objectives", "constraints") else value
        for name, value in given.items()
        if value is not None or name == "reward"
    }
    return asked, make_access(progress.message, **allowed)


def _run_path(out: Path | str | None, resume: bool) -> Path:
    from edgenas.runs.open import new_run_path, newest_run_path

    if out is not None:
        return Path(out)
    return newest_run_path() if resume else new_run_path()
