"""What a run came to, as Python and notebooks see it: `Run` and the records that it gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.goals import parse_constraints, require_units, tightest
from edgenas.core.notebook import html_lines, html_table
from edgenas.core.progress import Progress, Silent
from edgenas.core.records.goals import Limit
from edgenas.runs.config import read_config
from edgenas.runs.frontier import pick as picking
from edgenas.runs.frontier.choice import reason
from edgenas.runs.frontier.stored import read_front
from edgenas.runs.networks import Network, Networks, of_document, of_point
from edgenas.runs.run import RunContext

if TYPE_CHECKING:
    from edgenas.reporting.plots.plot import Plot
    from edgenas.runs.frontier.pick import Picked
    from edgenas.runs.frontier.stored import Front
    from edgenas.targets.config import Access


@dataclass(frozen=True)
class Pick:
    """The best network of a run's frontier within other limits, and why it is that one.

    front : the frontier. picked : the choice in full, with what was measured around it.
    """

    front: Front
    picked: Picked

    @property
    def network(self) -> Network:
        """The network."""
        return of_point(self.picked.point, self.picked.measured)

    @property
    def is_verified(self) -> bool:
        """Whether it passed in the run's verification and kept these limits as measured."""
        return self.picked.verified

    @property
    def reason(self) -> str:
        """Why it was chosen, in a sentence."""
        return reason(self.front, self.picked.choice)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reader must know, a sentence each."""
        return self.picked.notes

    def document(self) -> dict[str, Any]:
        """Return the JSON document of `edgenas pick`, but for its seconds."""
        return picking.document(self.front, self.picked)

    def _repr_html_(self) -> str:
        return self.network._repr_html_() + html_lines([self.reason, *self.notes])


@dataclass(frozen=True)
class Explanation:
    """What every choice costs, where the winner's time goes, and what to change to save some.

    document : the JSON document of `edgenas explain`.
    """

    document: dict[str, Any]

    @property
    def predictors(self) -> list[dict[str, Any]]:
        """What is said of each metric: held-out errors, effects of the choices, parts, notes."""
        predictors: list[dict[str, Any]] = self.document["result"]
        return predictors

    @property
    def savings(self) -> list[dict[str, Any]]:
        """What to change, one step after the other; empty where nothing was to be saved."""
        savings: list[dict[str, Any]] = self.document["savings"]
        return savings

    def _repr_html_(self) -> str:
        parts = []
        for report in self.predictors:
            columns = (
                "change",
                f"effect, {report['unit']}",
                f"{report['confidence']:.0%} interval",
            )
            rows = [
                (
                    one["change"],
                    f"{one['effect']:+.3g}",
                    f"{one['lower']:+.3g} … {one['upper']:+.3g}",
                )
                for one in sorted(report["effects"], key=lambda one: -abs(one["effect"]))
            ]
            parts.append(html_table(f"What a choice does to {report['label']}", columns, rows))
            parts.append(html_lines(report["notes"]))
        return "".join(parts)


class Run:
    """A run folder: what it came to, and what can be asked of it without a new search.

    Made by `search` and `open_run`. What it says is as of the first time that it was asked: open
    the run again to see what was done to the folder since.
    """

    def __init__(
        self,
        path: Path,
        progress: Progress | None = None,
        access: Access | None = None,
        document: dict[str, Any] | None = None,
    ) -> None:
        self.path = path
        self._progress = progress or Silent()
        self._access = access
        if document is not None:
            self.__dict__["document"] = document

    @cached_property
    def document(self) -> dict[str, Any]:
        """The JSON document of `edgenas search`.

        Raises
        ------
        RunFolderError : the search is not finished, or a file of the run is damaged.
        """
        from edgenas.runs.document import summary

        folder = RunFolder(self.path)
        folder.require(folder.verification, "verify")
        context = RunContext(folder, read_config(folder), self._progress, self._access)
        return summary(context)

    @property
    def status(self) -> str:
        """The verdict: "pass", "looked up" (of a table), "fail" or "not verified"."""
        from edgenas.runs.verdict.verdicts import verdict

        if "document" in self.__dict__:
            return str(self.document["status"])
        folder = RunFolder(self.path)
        return verdict(folder, read_config(folder)).status

    @property
    def winner(self) -> Network | None:
        """The network that passed; None where none did, or something is newer than the verdict."""
        winner = self.document["winner"]
        return None if winner is None else of_document(winner)

    @property
    def candidates(self) -> Networks:
        """The networks that were verified, the ones that failed among them."""
        return Networks([*map(of_document, self.document["candidates"])], "Candidates")

    @property
    def frontier(self) -> Networks:
        """The networks that no other network is predicted to beat in every objective."""
        front = read_front(self.path)
        measured = {one.name: one.measured for one in front.measured}
        points = [of_point(point, measured.get(point.name, {})) for point in front.points]
        return Networks(points, "Frontier")

    @property
    def tradeoff(self) -> Plot:
        """The plot of accuracy against latency, which shows itself in a notebook.

        Raises
        ------
        InputError : a search on a measured table has none. RunFolderError : it is not finished.
        """
        from edgenas.reporting.plots import of_report
        from edgenas.runs.sources.board_document import report_data

        folder = RunFolder(self.path)
        if folder.table.exists():
            raise InputError(f"{self.path} is a search on a measured table.", "Open its report.")
        folder.require(folder.explanation, "explain")
        context = RunContext(folder, read_config(folder), self._progress, self._access)
        return of_report.tradeoff(report_data(context))

    def pick(
        self, max_latency_ms: float | None = None, constraints: Sequence[str | Limit] = ()
    ) -> Pick:
        """Return the best network of the frontier within other limits, at once.

        Parameters
        ----------
        max_latency_ms : limit on the upper prediction bound.
        constraints : such as "peak_rss<=64MB", or `Limit` records.

        Raises
        ------
        InputError : no limit, or one on a metric that the frontier does not have.
        InfeasibleError : no network of the frontier keeps the limits; says what the nearest has.
        RunFolderError : the run has no frontier.
        """
        front = read_front(self.path)
        texts = [text for text in constraints if isinstance(text, str)]
        require_units(texts, front.known)
        limits = parse_constraints(texts, front.known, max_latency_ms)
        for limit in constraints:
            if isinstance(limit, Limit):
                limits[limit.response] = tightest(limits.get(limit.response), limit)
        return Pick(front, picking.pick(front, limits))

    def explain(
        self,
        save_ms: float | None = None,
        png: Path | str | None = None,
        *,
        layers: bool = False,
        overwrite: bool = False,
    ) -> Explanation:
        """Say what every choice costs, with intervals, and where the time of the winner goes.

        Parameters
        ----------
        save_ms : predicted milliseconds to save; says which changes to the winner do it.
        png : folder that plots are written to. overwrite : also over files of these names that
            edgenas did not write.
        layers : what int8 costs each layer is wanted; `InputError` for a measured table.

        Raises
        ------
        RunFolderError : no predictors are fitted yet, or the run is in use.
        """
        from edgenas.runs import search

        folder = None if png is None else Path(png)
        return Explanation(
            search.explain(
                self.path,
                self._progress,
                self._access,
                save_ms,
                folder,
                layers=layers,
                overwrite=overwrite,
            )
        )

    def submit(
        self, challenge: str, given: Mapping[str, str] | None = None, *, private: bool = True
    ) -> dict[str, Any]:
        """Build, lint and score a challenge's package of the winner; nothing is sent anywhere.

        Parameters
        ----------
        challenge : such as "generic". given : figures that its score needs, by name.
        private : leave out what names people, machines and places, and no figure needs.

        Returns
        -------
        The JSON document of `edgenas submit`.

        Raises
        ------
        NotVerifiedError : something is newer than the verification.
        InputError : no network passed, or it is no entry for this challenge.
        """
        from edgenas.runs import submission

        return submission.submit(
            self.path, challenge, dict(given or {}), self._progress, self._access, private=private
        )

    def deploy(self, to: Path | str) -> dict[str, Any]:
        """Write the winner as an application without edgenas, and test it where it is.

        Parameters
        ----------
        to : a folder, or "BOARD:FOLDER", such as "pi@raspberrypi.local:app", as scp writes it.

        Returns
        -------
        The JSON document of `edgenas deploy`.

        Raises
        ------
        NotVerifiedError : something is newer than the verification.
        InputError : no network passed, the run is of a measured table, or `to` is not empty.
        RunFolderError : the folder cannot be written. TargetError : the board cannot be reached.
        """
        from edgenas.core.records import to_json
        from edgenas.runs.deploy import of_run as deploy

        done = deploy.deploy(self.path, str(to), self._progress, self._access)
        return {"run": str(self.path), "step": "deploy", "result": to_json(done)}

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self.status}>"

    def _repr_html_(self) -> str:
        lines = [f"{self.path}: {self.status}"]
        try:
            choice = self.document["choice"]
        except RunFolderError:  # not finished
            return html_lines(lines)
        lines += [choice["reason"]] if choice else []
        lines += [f"reservation: {text}" for text in self.document["reservations"]]
        return html_lines(lines) + self.candidates._repr_html_()


@dataclass(frozen=True)
class Boards:
    """A search on several boards, or engines: a run of each, and what stopped the others.

    runs, failed : by name of the target. document : the JSON document of `edgenas search`.
    """

    path: Path
    runs: Mapping[str, Run]
    failed: Mapping[str, str]
    document: dict[str, Any]

    @property
    def status(self) -> str:
        """The verdict: "pass" only if each board passed."""
        return str(self.document["status"])

    def _repr_html_(self) -> str:
        failed = [f"{name}: {problem}" for name, problem in self.failed.items()]
        return "".join(run._repr_html_() for run in self.runs.values()) + html_lines(failed)
