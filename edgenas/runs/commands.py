"""What the command line calls beside the functions of `edgenas`: one function for each command.

The command line imports nothing else of the product, so what a command does can be done, and
tested, without it. A function here takes what the user said, and what a board is allowed, and
returns the JSON document of the command. Nothing is loaded before it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.core.progress import Progress
from edgenas.core.records import to_json
from edgenas.core.records.growth import Start
from edgenas.runs.loading import AccessOptions, make_access

if TYPE_CHECKING:
    from typing_extensions import Unpack


def run_step(
    name: str,
    run: Path,
    asked: dict[str, Any],
    progress: Progress,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Run one step on a run folder; {} in processes of `torchrun` that are not the first."""
    from edgenas.runs import search
    from edgenas.runs.boards import search as boards

    access = make_access(progress.message, **allowed)
    with boards.comparison_kept(run, progress):
        return search.run_step(name, run, asked, progress, access)


def run_path(out: Path | None, resume: bool) -> Path:
    """Return the folder of a search: `out`, a new one, or with `resume` the last one."""
    from edgenas.runs.open import new_run_path, newest_run_path

    return out or (newest_run_path() if resume else new_run_path())


def is_several(run: Path) -> bool:
    """Return whether the folder holds a run of several boards."""
    from edgenas.runs.boards import file as boards_file

    return boards_file.is_several(run)


def published_search(
    space: str, predictors: str, max_latency_ms: float, optimizer: str, seed: int
) -> dict[str, Any]:
    """Search a space with a published set of predictors."""
    from edgenas.optimize import published

    return published.search(space, predictors, max_latency_ms, optimizer, seed)


def export_fed(
    run: Path,
    words: str,
    asked: dict[str, Any],
    progress: Progress,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Write the exported networks of a run for another input."""
    from edgenas.runs import submission

    return submission.as_fed(run, words, asked, progress, make_access(progress.message, **allowed))


def export_c(run: Path, progress: Progress, **allowed: Unpack[AccessOptions]) -> dict[str, Any]:
    """Write the exported networks of a run as C99 sources."""
    from edgenas.runs import submission

    return submission.as_c(run, progress, make_access(progress.message, **allowed))


def check_submission(challenge: str, file: Path, given: Mapping[str, str]) -> dict[str, Any]:
    """Lint and score any file or folder by the rules of a challenge."""
    from edgenas.runs import submission

    return submission.check(challenge, file, dict(given))


def replay(evidence: Path) -> list[dict[str, Any]]:
    """Work the figures of a bundle of evidence out again; return the checks."""
    from edgenas.runs.config import limits_of
    from edgenas.runs.evidence.contents import content_checks
    from edgenas.runs.evidence.limits import limit_checks
    from edgenas.runs.evidence.measurements import replay as replayed
    from edgenas.runs.evidence.predictions import prediction_checks

    checks: list[dict[str, Any]] = to_json(
        (
            *replayed(evidence),
            *limit_checks(evidence, limits_of),
            *prediction_checks(evidence),
            *content_checks(evidence, limits_of),
        )
    )
    return checks


def compare_runs(
    runs: Sequence[Path], output: Path, progress: Progress, *, overwrite: bool = False
) -> dict[str, Any]:
    """Write one page that compares finished runs: `compare_runs.compare_runs`."""
    from edgenas.runs.boards import compare_runs as comparing

    return comparing.compare_runs(runs, output, progress, overwrite=overwrite)


def film(run: Path, output: Path, *, overwrite: bool = False) -> str:
    """Write the search of a run as an SVG that moves: `film.write`."""
    from edgenas.runs import film as filming

    return filming.write(run, output, overwrite=overwrite)


def dashboard(folder: Path, port: int, tell: Callable[[str], None]) -> None:
    """Serve a page that shows the runs of a folder until an interrupt: `dashboard.server.serve`."""
    from edgenas.runs.dashboard import server

    with contextlib.suppress(KeyboardInterrupt):  # the one way to end it
        server.serve(folder, port, tell)


def deploy_model(
    model: Path,
    to: str,
    progress: Progress,
    *,
    data: str | None = None,
    engine: str | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Write a model file as an application, in a folder or to BOARD:FOLDER; test it there.

    preprocessing : of `Preprocessing`.
    """
    from edgenas.runs.deploy import of_model as deploying
    from edgenas.runs.own_models.data import Given, Preprocessing

    access = make_access(progress.message, **allowed)
    given = Given(data, None, Preprocessing(**(preprocessing or {})))
    done = deploying.deploy_model(model, to, given, access, progress, engine=engine)
    return {"model": str(model), "step": "deploy", "result": to_json(done)}


def profile(
    what: Path,
    target: str | None,
    runs: int,
    progress: Progress,
    *,
    engine: str | None = None,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Time each operator of a run's model, or of a model file."""
    from edgenas.runs import profile as profiling

    access = make_access(progress.message, **allowed)
    document: dict[str, Any] = to_json(
        profiling.profile(what, target, runs, access, progress, engine=engine)
    )
    return document


def bench(
    models: Sequence[Path],
    targets: Sequence[str],
    engines: Sequence[str],
    progress: Progress,
    *,
    shapes: Sequence[str] = (),
    operators: bool = False,
    against: Path | None = None,
    fail_if_slower: float | None = None,
    png: Path | None = None,
    overwrite: bool = False,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Measure model files side by side; `changes` : against the baseline of before."""
    from edgenas.core.files.outputs import claim
    from edgenas.core.files.run_folder import write_bytes
    from edgenas.runs.own_models import bench as benchmark

    picture = None
    if png is not None:
        from edgenas.reporting.plots.plot import is_own_png

        inputs = models if against is None else (*models, against)
        picture = claim(png, "--png", is_own_png, inputs=inputs, overwrite=overwrite)
    baseline = None if against is None else benchmark.read_baseline(against)
    result = benchmark.bench(
        models,
        targets or ("local",),
        engines,
        make_access(progress.message, **allowed),
        progress,
        shapes=benchmark.parse_shapes(shapes),
        operators=operators,
    )
    changes = []
    if baseline is not None:
        changes = benchmark.against(result, baseline, fail_if_slower or 0.0)
    if picture is not None:
        from edgenas.reporting.plots.of_bench import latencies

        plot = latencies(result.rows)
        if plot is not None:
            write_bytes(picture, plot.png())
    return {**to_json(result), "changes": to_json(changes)}


def quantize(
    model: Path,
    data: str | None,
    inputs: Path | None,
    progress: Progress,
    *,
    scheme: str | None = None,
    shape: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Write a float model file in int8.

    options : those of `Preprocessing`, of `QuantizeAs`, and of access to a board.
    """
    from edgenas.runs.own_models import quantize as quantizing
    from edgenas.runs.own_models.data import Given, Preprocessing

    how = Preprocessing(*(options.pop(name) for name in ("mean", "std", "fit", "labels")))
    allowed = {name: options.pop(name) for name in AccessOptions.__annotations__ if name in options}
    access = make_access(progress.message, **allowed)
    wanted = quantizing.QuantizeAs(
        scheme or quantizing.this_scheme(), shape=quantizing.input_shape(shape), **options
    )
    given = Given(data, inputs, how)
    return dict(to_json(quantizing.quantize_model(model, given, wanted, access, progress)))


def shrink(
    model: Path,
    run: Path,
    asked: dict[str, Any],
    progress: Progress,
    *,
    shape: str | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Search for a smaller network within a float model file; preprocessing : of `Preprocessing`.

    asked : the options of a run, without space, supernet and image_size, which are the model's.
    """
    from edgenas.runs import search
    from edgenas.runs.own_models import shrink as shrinking
    from edgenas.runs.own_models.data import Preprocessing
    from edgenas.runs.own_models.quantize import input_shape

    how = Preprocessing(**(preprocessing or {}))
    began = shrinking.begin(model, run, how, input_shape(shape), progress)
    access = make_access(progress.message, **allowed)
    return search.search(run, {**asked, **began}, progress, resume=False, access=access)


def roofline(
    what: Path,
    target: str | None,
    progress: Progress,
    *,
    engine: str | None = None,
    shapes: Sequence[str] = (),
    png: Path | None = None,
    overwrite: bool = False,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Hold each layer of a run's network, or of a model file, against what its machine can do."""
    from edgenas.core.files.outputs import claim
    from edgenas.core.files.run_folder import write_bytes
    from edgenas.reporting.words.roofline import document
    from edgenas.runs import roofline as measuring
    from edgenas.runs.own_models.bench import parse_shapes

    picture = None
    if png is not None:
        from edgenas.reporting.plots.plot import is_own_png

        picture = claim(png, "--png", is_own_png, inputs=(what,), overwrite=overwrite)
    access = make_access(progress.message, **allowed)
    asked = parse_shapes(shapes)
    found = measuring.roofline(what, target, engine, access, progress, shapes=asked)
    if picture is not None:
        from edgenas.reporting.plots.of_roofline import rooflines

        write_bytes(picture, rooflines(found).png())
    return document(found)


def grow(
    run: Path,
    asked: Mapping[str, Any],
    progress: Progress,
    *,
    start: Start = "winner",
    epochs: int | None = None,
    time_s: float | None = None,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Grow a run's network towards its limits, and export the best of all ways: `grow.grow`."""
    from edgenas.runs.boards import search as boards
    from edgenas.runs.growing import grow as growing

    access = make_access(progress.message, **allowed)
    with boards.comparison_kept(run, progress):
        return growing.grow(run, asked, progress, access, start=start, epochs=epochs, time_s=time_s)


def grow_model(
    model: Path,
    run: Path,
    asked: dict[str, Any],
    progress: Progress,
    *,
    preprocessing: Mapping[str, Any],
    shape: str | None = None,
    epochs: int | None = None,
    time_s: float | None = None,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Grow a float model file in a run of its own: `own_model.grow`."""
    from edgenas.runs.growing import own_model

    access = make_access(progress.message, **allowed)
    own_model.begin(model, run, asked, progress, access, preprocessing=preprocessing, shape=shape)
    return own_model.grow(run, progress, access, epochs=epochs, time_s=time_s)


def verify_file(
    model: Path,
    data: str | None,
    progress: Progress,
    *,
    target: str | None = None,
    engine: str | None = None,
    max_latency_ms: float | None = None,
    reference: Path | None = None,
    inputs: Path | None = None,
    preprocessing: Mapping[str, Any] | None = None,
    **allowed: Unpack[AccessOptions],
) -> dict[str, Any]:
    """Run a model file that somebody else made on a target; preprocessing : of `Preprocessing`."""
    from edgenas.runs.own_models import verify as verifying
    from edgenas.runs.own_models.data import Given, Preprocessing

    wanted = verifying.VerifyAs(target or "local", engine, max_latency_ms, reference)
    given = Given(data, inputs, Preprocessing(**(preprocessing or {})))
    access = make_access(progress.message, **allowed)
    return dict(to_json(verifying.verify_file(model, given, wanted, access, progress)))


def probe(where: str, progress: Progress, **allowed: Unpack[AccessOptions]) -> dict[str, Any]:
    """Look at a target: a machine, or a measured table."""
    from edgenas.runs.search import probe_target

    access = make_access(progress.message, **allowed)
    document: dict[str, Any] = to_json(probe_target(where, access))
    return document


def clean(where: str, progress: Progress, **allowed: Unpack[AccessOptions]) -> str:
    """Remove all that edgenas keeps on a target; return what was done."""
    from edgenas.targets.config import resolve

    return str(resolve(where, make_access(progress.message, **allowed)).clean())


def target_files() -> dict[str, str]:
    """Return the target files that come with edgenas, by their names."""
    from edgenas.targets.config import shipped_files

    return {name: path.read_text("utf-8") for name, path in shipped_files().items()}


def space_card(name: str, classes: int, channels: int, image_size: int) -> dict[str, Any]:
    """Return what a search space is."""
    from edgenas.runs import space_card as cards

    card: dict[str, Any] = to_json(cards.space_card(name, classes, channels, image_size))
    return card


def trust_space(file: Path) -> None:
    """Let the code of a space's file run: the user named it."""
    from edgenas.spaces import files

    files.name(file)


def is_predictor(path: Path) -> bool:
    """Return whether a file is what `edgenas fit` wrote, unedited."""
    from edgenas.core.files.run_folder import read_json
    from edgenas.predictors.linear.sealed import is_sealed

    return is_sealed(read_json(path))


def explain_table(predictor: Path, confidence: float, *of: Any, **asked: Any) -> dict[str, Any]:
    """Say what every choice costs by a table's predictor: `table_explanation.explained`."""
    from edgenas.runs import table_explanation

    return table_explanation.explained(predictor, confidence, *of, **asked)


def known_targets() -> list[str]:
    """Return the targets that come with edgenas, and the hosts of the SSH configuration."""
    from edgenas.targets.config import shipped_files
    from edgenas.targets.remote.ssh_config import aliases

    return [*shipped_files(), *aliases()]


def known_engines() -> list[str]:
    """Return the engines that something is known about."""
    from edgenas.int8.engines.facts import engine_names

    return list(engine_names())


def known_supernets() -> list[str]:
    """Return the supernets that come with edgenas."""
    from edgenas.supernet.packages.package import shipped

    return list(shipped())
