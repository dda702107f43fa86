"""The bench's table of runs, as plain values: which columns, what stands in them, which run is the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from asrlib.training import Run, Runs
from asrlib.widgets.bench_settings import SETTINGS, read, settings_for

__all__ = ["best_of", "runs_table", "thousands"]


def runs_table(runs: Runs, *, loaded: Any = None) -> dict[str, Any]:
    """Return the table that the bench shows, as plain values: newest run first, the best one marked.

    Parameters
    ----------
    runs : Runs
        The runs.
    loaded : object
        The id of the run whose settings are in the controls.

    Returns
    -------
    dict
        "columns" (title, and whether it holds numbers) and "rows" (id, name, status, whether it is the best
        or the loaded one, and its cells: text and what to sort by).

    Lesson: 06
    """
    listed = list(runs)
    best = best_of(listed)
    listed.reverse()
    settings = {run.id: _settings_of(run) for run in listed}
    shown = [name for name in _TITLES if _differs(name, settings.values())] or ["model"]
    numbers = {name for name in shown for row in settings.values() if _counts(row.get(name, ("", None))[1])}
    ended = all(run.status == "finished" for run in listed)
    titles = [
        ("run", True),
        *([] if ended else [("state", False)]),
        ("validation", True),
        ("seconds", True),
        ("parameters", True),
    ]
    titles += [(_TITLES[name], name in numbers) for name in shown]
    rows = [
        {
            "id": run.id, "name": str(run.id), "status": run.status, "best": run is best,
            "loaded": run.id == loaded,
            "cells": [
                _cell(f"{'★ ' if run is best else ''}{run.id}", int(run.id)),
                *([] if ended else [_cell(run.status, run.status)]),
                _cell("" if run.accuracy is None else f"{100 * run.accuracy:.1f} %", run.accuracy),
                _cell(f"{run.seconds:.1f}" if run.seconds else "", run.seconds or None),
                _cell("" if run.parameters is None else thousands(run.parameters), run.parameters),
                *(_cell(*settings[run.id].get(name, ("", None))) for name in shown),
            ],
        }
        for run in listed
    ]  # fmt: skip
    return {"columns": [{"title": title, "number": number} for title, number in titles], "rows": rows}


_TITLES = {setting.name: setting.label for setting in SETTINGS} | {
    "model": "network",
    "kind": "features",
    "dropout": "dropout",
    "normalization": "subtracted",
    "clips": "clips",
}
"""The columns' titles, by setting."""

_SIZES = {setting.name for setting in SETTINGS if setting.family is not None}


def best_of(runs: Iterable[Run]) -> Run | None:
    """Return the run that was right most often on the validation clips, of those that left a network."""
    ended = (run for run in runs if run.status in ("finished", "stopped") and run.accuracy is not None)
    return max(ended, key=lambda run: run.accuracy, default=None)


def _settings_of(run: Run) -> dict[str, tuple[str, Any]]:
    """Return a run's settings by name, as text and value; none when another asrlib wrote them."""
    try:
        values = {**read(run.train_config()), "clips": run.n_train}
    except (ValueError, KeyError, TypeError):
        return {}
    known = settings_for(values["model"])
    return {name: (known[name].written(value), value) for name, value in values.items()}


def _differs(name: str, rows: Iterable[Mapping[str, tuple[str, Any]]]) -> bool:
    """Tell whether a setting differs between runs; a size of a network, between runs of the same family."""
    texts: dict[str, set[str]] = {}
    for row in rows:
        if name in row:
            family = row["model"][0] if name in _SIZES else ""
            texts.setdefault(family, set()).add(row[name][0])
    return any(len(different) > 1 for different in texts.values())


def _counts(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(text: str, value: Any) -> dict[str, Any]:
    """Make a cell; it sorts by its value where that is a number, else by its text."""
    return {"text": text, "sort": value if _counts(value) else text or None}


def thousands(number: int) -> str:
    """Write 25690 as 25 690, with a space that does not break.

    Examples
    --------
    >>> thousands(25690) == "25\N{NO-BREAK SPACE}690"
    True

    Lesson: 06
    """
    return f"{number:,}".replace(",", "\N{NO-BREAK SPACE}")
