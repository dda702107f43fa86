"""Lessons 1 and up as a learner meets them: every cell runs, and every explorer follows the keyboard."""

import re
import time
from statistics import median

import pytest
from lab import REPOSITORY

NOTEBOOKS = sorted(
    file for file in (REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb") if not file.name.startswith("00")
)


@pytest.fixture(scope="module", params=NOTEBOOKS, ids=lambda file: file.name[:2])
def lesson(lab, request):
    """Open a lesson and run all of it; the tests below go on in the same page."""
    lesson = lab.open(request.param, viewport=(1280, 1200))
    lesson.name = f"lesson{request.param.name[:2]}"
    began = time.monotonic()
    lesson.run_all(seconds=300)
    print(f"\n{lesson.name}: all cells ran in {time.monotonic() - began:.0f} s")
    return lesson


def test_every_cell_runs_and_the_page_reports_no_error(lesson):
    assert lesson.errors() == []
    assert [text for kind, text in lesson.console if kind in ("error", "pageerror")] == []


def test_every_explorer_follows_the_keyboard(lesson):
    explorers = lesson.explorers()
    assert explorers, "no cell ends with the name of an explorer"
    for name, cell_id in explorers.items():
        cell = lesson.scroll_to(cell_id)
        view = cell.locator(".asr-explorer")
        view.scroll_into_view_if_needed()
        picture = view.locator("img.widget-image")
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
        lesson.screenshot(f"{lesson.name}_{name}", element=view)
        effects = [turn(lesson, cell, control) for control in lesson.controls(cell)]
        assert any(effects), f"no control of {name} changes its picture"
        assert sum(map(bool, effects)) >= len(effects) / 2
        taken = [milliseconds for effect in effects for milliseconds in effect]
        print(f"\n{lesson.name} {name}: median of {len(taken)} changes {median(taken):.0f} ms", end="")
        assert lesson.execute(f"print({name}.error)").strip() == "None"


def turn(lesson, cell, control):
    """Press three keys on a control; return the milliseconds of those that gave a new picture."""
    kind = control.evaluate(
        "c => c.tagName === 'SELECT' ? 'list' : c.type === 'checkbox' ? 'switch' : 'slider'"
    )
    keys = {
        "list": ["ArrowDown", "ArrowUp"],
        "switch": ["Space", "Space"],
        "slider": ["ArrowRight", "ArrowLeft", "ArrowLeft"],
    }[kind]
    label = lesson.name_of(control)
    assert re.search(r"\w", label), "a control has no label"
    return lesson.time_changes(cell, control, keys=keys)


def test_the_explorers_can_be_looked_at_in_the_dark_theme(lesson):
    """Nothing is judged here but that it can be drawn: the pictures are for eyes."""
    lesson.use_theme("JupyterLab Dark")
    for name, cell_id in lesson.explorers().items():
        view = lesson.scroll_to(cell_id).locator(".asr-explorer")
        view.scroll_into_view_if_needed()
        lesson.screenshot(f"{lesson.name}_{name}_dark", element=view)
    lesson.use_theme("JupyterLab Light")
