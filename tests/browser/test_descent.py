"""The animation of lesson 5 in a real browser: it plays by itself, whatever the kernel does meanwhile."""

import json
import textwrap

import pytest

EXPLORER = """
    import numpy as np
    from asrlib.widgets import DescentExplorer

    rng = np.random.default_rng(0)
    labels = np.arange(90) % 5
    clouds = rng.normal(size=(5, 12))[labels] + rng.normal(0, 0.8, size=(90, 12))
    knobs = DescentExplorer(clouds, labels)
    knobs
"""


@pytest.fixture(scope="module")
def lesson(lab, tmp_path_factory):
    file = tmp_path_factory.mktemp("descent") / "descent.ipynb"
    cell = {
        "cell_type": "code",
        "id": "knobs",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": textwrap.dedent(EXPLORER).strip(),
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    file.write_text(json.dumps({"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    lesson = lab.open(file)
    lesson.run_all()
    assert lesson.errors() == []
    return lesson


@pytest.fixture
def cell(lesson):
    cell = lesson.scroll_to("knobs")
    cell.locator("button", has_text="Play").wait_for()
    return cell


def canvases(cell):
    return cell.locator("canvas").count()


def plays(cell):
    return int(cell.locator("[data-plays]").get_attribute("data-plays")) if done(cell) else 0


def done(cell):
    return cell.locator("[data-plays]").count()


def part(cell):
    return int(cell.locator("input[type=range]").input_value())


def test_it_plays_to_the_end_and_asks_the_kernel_once(lesson, cell):
    drawn = lesson.execute("print(knobs.renders)")
    cell.locator("button", has_text="Play").focus()
    lesson.page.keyboard.press("Enter")
    lesson.wait_until(lambda: canvases(cell) == 1, "nothing plays")
    assert cell.locator("button", has_text="Pause").count() == 1
    lesson.wait_until(lambda: part(cell) > 300, "it does not go on")
    lesson.screenshot("descent_playing", element=cell.locator(".asr-explorer"))
    lesson.wait_until(lambda: plays(cell) == 1, "it never ends", seconds=60)
    assert canvases(cell) == 0
    assert lesson.execute("print(knobs.renders)") == drawn
    shown = cell.locator("[data-plays]")
    rate = float(shown.get_attribute("data-frames-per-second"))
    longest = float(shown.get_attribute("data-longest-milliseconds"))
    print(f"\nthe walk plays with {rate:.0f} frames per second, the longest took {longest:.0f} ms")
    assert rate > 2  # even on a busy machine; on a quiet one it is the rate of the screen
    assert [text for kind, text in lesson.console if kind in ("error", "pageerror")] == []


def test_a_busy_kernel_does_not_hold_it_up(lesson, cell):
    before = plays(cell)
    cell.locator("button", has_text="Play").click()
    lesson.wait_until(lambda: canvases(cell) == 1, "nothing plays")
    lesson.page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        ".requestExecute({code: 'import time; time.sleep(30); rested = True', store_history: false}) }"
    )
    lesson.wait_until(lambda: plays(cell) == before + 1, "it waits for the kernel", seconds=25)


def test_a_turned_control_ends_it(lesson, cell):
    lesson.wait_until_idle()
    cell.locator("button", has_text="Play").click()
    lesson.wait_until(lambda: canvases(cell) == 1, "nothing plays")
    before = plays(cell)
    lesson.execute("knobs.set(learning_rate=0.3)")
    lesson.wait_until(lambda: canvases(cell) == 0, "the old walk goes on over the new picture")
    assert plays(cell) == before
    assert cell.locator("button", has_text="Play").count() == 1


def test_it_can_be_paused_and_drawn_along_by_keyboard(lesson, cell):
    cell.locator("button", has_text="Play").click()
    lesson.wait_until(lambda: part(cell) not in (0, 1000), "nothing plays")
    cell.locator("button", has_text="Pause").click()
    here = part(cell)
    lesson.page.wait_for_timeout(300)
    assert part(cell) == here
    cell.locator("input[type=range]").focus()
    lesson.page.keyboard.press("ArrowRight")
    lesson.wait_until(lambda: part(cell) == here + 1, "the line does not follow the keyboard")
    assert canvases(cell) == 1
    lesson.page.keyboard.press("End")
    lesson.wait_until(lambda: canvases(cell) == 0, "the end does not show the picture again")
