"""The scheduler game as a widget for JupyterLab, Notebook 7, VS Code and Colab.

The picks are the only state. The view sets them, the kernel plays them and sends back the
scene: nothing is simulated in the browser.
"""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from ..engine.recording import Recording
from ..schedules.attempt import Program
from ..schedules.checks import check_count, check_program
from ..schedules.exploration import Exploration
from ..schedules.explore import explore
from ..views.narration import when
from ..views.pictures import still
from ..views.player import join_modules, stage_modules, style_text
from .scene import describe, scene, verdict
from .state import LIMITS, Game, Pick, Status, start, way

__all__ = ["SchedulerGame"]

_HERE = Path(__file__).parent


class SchedulerGame(anywidget.AnyWidget):
    """Has a player pick which pending wait completes next; made by ``lab.scheduler_game``.

    Args:
        main: an async function without parameters.
        runs: how many schedules the search tries at most.

    ``picks`` is a list of picks, each a list of the numbers of the timers that complete at one
    moment. It can be set, and follows what the player does. ``searching``, when it is set,
    has the kernel search for a freeze; it is False again when ``found`` says what came of it.
    """

    _esm = join_modules(*stage_modules(), _HERE / "game.js")
    _css = style_text() + (_HERE / "game.css").read_text("utf-8")

    name = traitlets.Unicode().tag(sync=True)
    picks: Any = traitlets.List().tag(sync=True)
    scene = traitlets.Dict().tag(sync=True)
    searching = traitlets.Bool(False).tag(sync=True)
    found = traitlets.Dict().tag(sync=True)

    def __init__(self, main: Program, *, runs: int = 1_000, **options: Any) -> None:
        check_program("scheduler_game", main)
        check_count("runs", runs, least=1)
        self._lock = threading.RLock()  # a notebook serves its widgets on a thread of their own
        self._runs = runs
        self._exploration: Exploration | None = None
        self._game = start(main)
        name = getattr(main, "__name__", "main")
        super().__init__(name=name, scene=scene(self._game), **options)

    @property
    def token(self) -> str:
        """The schedule so far, for ``lab.run(main, schedule=token)``."""
        return self._game.token

    @property
    def frozen(self) -> bool:
        """Whether the player has won: some task can never go on."""
        return self._game.status is Status.FROZEN

    @traitlets.validate("picks")
    def _playable(self, proposal: Any) -> list[list[int]]:
        """Play the picks; those that can be made stay."""
        with self._lock:
            try:
                self._game = self._game.at(proposal["value"])
            except (TypeError, ValueError) as error:
                raise traitlets.TraitError(f"these picks cannot be made: {error}") from error
            return [list(pick) for pick in self._game.picks]

    @traitlets.observe("picks")
    def _show(self, _: object) -> None:
        with self._lock:
            self.scene = scene(self._game, self._exploration)

    @traitlets.observe("searching")
    def _search(self, _: object) -> None:
        with self._lock:
            if not self.searching:
                return
            try:
                if self._exploration is None:
                    self._exploration = self._explored()
                found = self._exploration
                self.found = {"text": verdict(found), "way": self._way(found)}
                self.scene = scene(self._game, found)
            finally:
                self.searching = False

    def _explored(self) -> Exploration:
        return explore(self._game.main, runs=self._runs, max_steps=LIMITS.max_steps, progress=False)

    def _way(self, found: Exploration) -> list[Pick]:
        """Find the picks that lead to the smallest freeze; none where they do not."""
        return way(self._game.at([]), found.schedule) if found.schedule else []

    def __str__(self) -> str:
        return describe(self._game, self._exploration)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Show the game, with a picture and a text for places where it cannot live."""
        widget: Any = super()._repr_mimebundle_(**kwargs) or {}
        data = widget[0] if isinstance(widget, tuple) else widget
        text = str(self)
        bundle = {**data, "text/plain": text, "image/png": still(_titled(self._game))}
        return bundle, {"image/png": {"alt": text}}


def _titled(game: Game) -> Recording:
    """Have the picture of a run that was stopped for a choice say so."""
    if not game.offers:
        return game.recording
    return replace(game.recording, limit=f"at {when(game.recording.time)} nothing is ready")
