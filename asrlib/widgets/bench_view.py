"""What the training bench puts on the page: controls in three columns, buttons and bar, curves, runs."""

from __future__ import annotations

import html
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import traitlets

__all__ = ["BenchView", "Row", "RunTable"]

_HERE = Path(__file__).parent
_PARTS = {"features": "Features", "model": "Network", "training": "Training"}
_ERROR = "color: var(--jp-error-color1, #b00020)"


class RunTable(anywidget.AnyWidget):
    """The table of runs, and what a bench needs of the page: its theme, and the keyboard for itself."""

    _esm = _HERE / "bench.js"
    _css = _HERE / "bench.css"

    table = traitlets.Dict({"columns": [], "rows": []}).tag(sync=True)
    theme = traitlets.Unicode("").tag(sync=True)
    """What the page says: "light" or "dark"; empty until it does."""


@dataclass(frozen=True, eq=False)
class Row:
    """A control and the note below it, which says why its value cannot work."""

    control: ipywidgets.ValueWidget
    note: ipywidgets.HTML
    box: ipywidgets.VBox

    @classmethod
    def of(cls, control: ipywidgets.ValueWidget) -> Row:
        control.layout = ipywidgets.Layout(width="auto")
        note = ipywidgets.HTML(layout={"display": "none"})
        box = ipywidgets.VBox([control, note])
        box.add_class("asr-row")
        return cls(control, note, box)

    def show(self, visible: bool) -> None:
        self.box.layout.display = None if visible else "none"

    def say(self, problem: str) -> None:
        """Show a problem, or take the note away."""
        if problem:
            # An alert is read out by screen readers when it appears.
            self.note.value = f'<div class="asr-note" role="alert">{html.escape(problem)}</div>'
            self.box.add_class("asr-wrong")
        else:
            self.note.value = ""
            self.box.remove_class("asr-wrong")
        self.note.layout.display = None if problem else "none"


class BenchView(ipywidgets.VBox):
    """The page's side of a training bench.

    Parameters
    ----------
    rows : mapping of str to sequence of Row
        The controls under "features", "model" and "training", in the order of the Tab key.
    on_train, on_stop, on_reset : callable
        Called when a button is pressed.
    on_load : callable
        Called with the id of the run whose button is pressed.
    on_theme : callable
        Called with "light" or "dark" when the page says or changes its theme.

    Examples
    --------
    >>> events = ("on_train", "on_stop", "on_reset", "on_load", "on_theme")
    >>> view = BenchView({}, **dict.fromkeys(events, print))
    >>> view.say("Louder & clearer.")
    >>> "Louder &amp; clearer." in view.said.value
    True

    Lesson: 06
    """

    def __init__(
        self,
        rows: Mapping[str, Sequence[Row]],
        *,
        on_train: Callable[[], None],
        on_stop: Callable[[], None],
        on_reset: Callable[[], None],
        on_load: Callable[[Any], None],
        on_theme: Callable[[str], None],
    ) -> None:
        self.train_button = _button(
            "Train", "Train with these settings", on_train, style="primary", icon="play"
        )
        self.stop_button = _button("Stop", "Stop after the batch under way", on_stop, icon="stop")
        self.reset_button = _button("Reset", "Put every control back", on_reset)
        self.progress = ipywidgets.FloatProgress(0.0, min=0.0, max=1.0, layout={"width": "190px"})
        self.status = ipywidgets.HTML(layout={"flex": "1 1 auto", "width": "auto"})
        self.trouble = ipywidgets.HTML(layout={"display": "none"})
        self.problem = ipywidgets.HTML(layout={"display": "none"})
        self.said = ipywidgets.HTML()
        self.facts = ipywidgets.HTML()
        # In its own size: stretched to the page, its letters would blur.
        layout = {
            "max_width": "100%",
            "object_fit": "contain",
            "align_self": "flex-start",
            "margin": "6px 0 2px",
        }
        self.image = ipywidgets.Image(format="png", layout=layout)
        self.runs = RunTable()
        self.runs.on_msg(lambda _, content, __: self._message_came(content, on_load))
        self.runs.observe(lambda change: on_theme(change["new"]), names="theme")
        bar = ipywidgets.HBox(
            [self.train_button, self.stop_button, self.progress, self.status, self.reset_button]
        )
        bar.add_class("asr-bar")
        columns = self._columns(rows)
        super().__init__([columns, self.problem, bar, self.trouble, self.image, self.said, self.runs])
        self.add_class("asr-bench")
        self.switch(running=False)

    def _columns(self, rows: Mapping[str, Sequence[Row]]) -> ipywidgets.Box:
        columns = []
        for part, title in _PARTS.items():
            heading = ipywidgets.HTML(f'<div class="asr-heading">{title}</div>')
            boxes = [heading, *(row.box for row in rows.get(part, ()))]
            columns.append(ipywidgets.VBox([*boxes, self.facts] if part == "model" else boxes))
        box = ipywidgets.Box(columns)
        box.add_class("asr-columns")
        box.layout.display = "grid"
        return box

    def switch(self, *, running: bool) -> None:
        """Show which of the buttons has something to do. Both keep the keyboard's focus."""
        self._set_off(self.train_button, running)
        self._set_off(self.stop_button, not running)

    def _set_off(self, button: ipywidgets.Button, off: bool) -> None:
        (button.add_class if off else button.remove_class)("asr-off")

    def is_off(self, button: ipywidgets.Button) -> bool:
        """Tell whether a button has nothing to do now."""
        return "asr-off" in button._dom_classes

    def tell(self, status: str, *, share: float | None = None, style: str = "") -> None:
        """Say in the bar what goes on, and how much of it is done."""
        self.status.value = html.escape(status)
        self.progress.bar_style = style
        if share is not None:
            self.progress.value = share

    def say(self, text: str) -> None:
        """Say something below the picture; screen readers read it out."""
        self.said.value = f'<div class="asr-said" role="status">{html.escape(text)}</div>' if text else ""

    def say_facts(self, text: str) -> None:
        """Say something about the network that is chosen."""
        self.facts.value = f'<div class="asr-quiet">{html.escape(text)}</div>'

    def show_trouble(self, error: BaseException | None, *, what: str = "") -> None:
        """Show an error as a learner needs it: what happened first, where on demand. None takes it away."""
        self.trouble.layout.display = "none" if error is None else None
        if error is None:
            self.trouble.value = ""
            return
        where = html.escape("".join(traceback.format_exception(error)))
        self.trouble.value = (
            f'<div role="alert" style="{_ERROR}; line-height: 1.4; white-space: normal">{html.escape(what)} '
            f"<b>{type(error).__name__}</b>: {html.escape(str(error))}"
            f"<details><summary>Where it happened</summary><pre>{where}</pre></details></div>"
        )

    def show_problem(self, text: str) -> None:
        """Show what cannot work and belongs to no control; an empty text takes it away."""
        self.problem.value = f'<div class="asr-note" role="alert">{html.escape(text)}</div>' if text else ""
        self.problem.layout.display = None if text else "none"

    def _message_came(self, content: Any, on_load: Callable[[Any], None]) -> None:
        if isinstance(content, Mapping) and content.get("kind") == "load":
            on_load(content.get("id"))


def _button(
    name: str, tooltip: str, pressed: Callable[[], None], *, style: str = "", icon: str = ""
) -> ipywidgets.Button:
    button = ipywidgets.Button(
        description=name, tooltip=tooltip, button_style=style, icon=icon,
        layout={"width": "86px", "flex": "0 0 auto"},
    )  # fmt: skip
    button.on_click(lambda _: pressed())
    return button
