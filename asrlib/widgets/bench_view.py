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

__all__ = ["BenchView", "Desk", "Row", "table_as_html"]

_HERE = Path(__file__).parent
_PARTS = {"features": "Features", "model": "Network", "training": "Training"}
_ERROR = "color: var(--jp-error-color1, #b00020)"


class Desk(anywidget.AnyWidget):
    """What a bench asks of the page: its theme, the keyboard for itself, what is pressed in the table.

    Only from the page to Python: anywidget 0.11 gives up on what Python sends when its file took more than
    two seconds to load, as it may while a kernel starts on a slow machine.
    """

    _esm = _HERE / "bench.js"
    _css = _HERE / "bench.css"

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
        self.runs = ipywidgets.HTML()
        self.table: dict[str, Any] = {"columns": [], "rows": []}
        """The runs as `bench_table.runs_table` gives them; `runs` shows them."""
        self.order: tuple[int, bool] | None = None  # the column that sorts, and whether it falls
        self.desk = Desk()
        self.desk.on_msg(lambda _, content, __: self._message_came(content, on_load))
        self.desk.observe(lambda change: on_theme(change["new"]), names="theme")
        bar = ipywidgets.HBox(
            [self.train_button, self.stop_button, self.progress, self.status, self.reset_button]
        )
        bar.add_class("asr-bar")
        columns = self._columns(rows)
        super().__init__(
            [columns, self.problem, bar, self.trouble, self.image, self.said, self.runs, self.desk]
        )
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

    def show_runs(self, table: dict[str, Any]) -> None:
        """Show the table of runs; it stays sorted as the learner sorted it."""
        if [column["title"] for column in table["columns"]] != [c["title"] for c in self.table["columns"]]:
            self.order = None  # its column may be another one now, or gone
        self.table = table
        self.runs.value = table_as_html(table, order=self.order)

    def sort_runs(self, column: int) -> None:
        """Sort the table by a column: numbers from the largest, words from the first; again: reversed."""
        if not 0 <= column < len(self.table["columns"]):
            return
        again = self.order is not None and self.order[0] == column
        self.order = column, not self.order[1] if again else self.table["columns"][column]["number"]
        self.runs.value = table_as_html(self.table, order=self.order)

    def _message_came(self, content: Any, on_load: Callable[[Any], None]) -> None:
        if not isinstance(content, Mapping):
            return
        if content.get("kind") == "load":
            on_load(content.get("id"))
        elif content.get("kind") == "sort" and isinstance(content.get("column"), int):
            self.sort_runs(content["column"])


def table_as_html(table: Mapping[str, Any], *, order: tuple[int, bool] | None = None) -> str:
    """Write a table of runs as HTML, with a button in each heading to sort by and in each row to load.

    Parameters
    ----------
    table : mapping
        As `bench_table.runs_table` gives it.
    order : (int, bool), optional
        The column to sort by, and whether from large to small. What is missing comes last.

    Returns
    -------
    str
        Empty for a table without rows.

    Lesson: 06
    """
    if not table["rows"]:
        return ""
    columns = table["columns"]
    headings = "".join(_heading(index, column, order) for index, column in enumerate(columns))
    lines = "".join(_line(row, columns) for row in _sorted(table["rows"], order))
    return (
        '<div class="asr-runs"><table aria-label="All runs">'
        f"<thead><tr>{headings}<td></td></tr></thead><tbody>{lines}</tbody></table></div>"
    )


def _sorted(rows: Sequence[Mapping[str, Any]], order: tuple[int, bool] | None) -> list[Mapping[str, Any]]:
    if order is None:
        return list(rows)
    column, falling = order
    known = [row for row in rows if row["cells"][column]["sort"] is not None]
    numbers = all(isinstance(row["cells"][column]["sort"], int | float) for row in known)
    known.sort(
        key=lambda row: row["cells"][column]["sort"] if numbers else str(row["cells"][column]["sort"]),
        reverse=falling,
    )
    return known + [row for row in rows if row["cells"][column]["sort"] is None]


def _heading(index: int, column: Mapping[str, Any], order: tuple[int, bool] | None) -> str:
    sorts = order is not None and order[0] == index
    way = ("descending" if order[1] else "ascending") if sorts else "none"
    sign = {"ascending": " ▴", "descending": " ▾", "none": ""}[way]
    title = html.escape(column["title"])
    kind = ' class="asr-number"' if column["number"] else ""
    return (
        f'<th scope="col" aria-sort="{way}"{kind}><button type="button" data-sort="{index}" '
        f'title="Sort by {title}">{title}{sign}</button></th>'
    )


def _line(row: Mapping[str, Any], columns: Sequence[Mapping[str, Any]]) -> str:
    cells = "".join(
        f"<td{' class=asr-number' if column['number'] else ''}>{html.escape(cell['text'])}</td>"
        for cell, column in zip(row["cells"], columns, strict=True)
    )
    run, name = html.escape(str(row["id"])), html.escape(row["name"])
    load = (
        f'<button type="button" class="asr-load" data-load="{run}" aria-label="Load run {name}">Load</button>'
    )
    classes = [f"asr-{row['status']}", *(f"asr-{mark}" for mark in ("best", "loaded") if row[mark])]
    return (
        f'<tr class="{" ".join(classes)}">{cells}<td>{"" if row["status"] == "running" else load}</td></tr>'
    )


def _button(
    name: str, tooltip: str, pressed: Callable[[], None], *, style: str = "", icon: str = ""
) -> ipywidgets.Button:
    button = ipywidgets.Button(
        description=name, tooltip=tooltip, button_style=style, icon=icon,
        layout={"width": "86px", "flex": "0 0 auto"},
    )  # fmt: skip
    button.on_click(lambda _: pressed())
    return button
