"""The explorers' base in a real browser: no queue behind a dragged slider, every control by keyboard."""

import json
import textwrap

import pytest

UNITS = {"frequency": "(Hz)", "noise": "dB", "wave": "", "rectified": ""}

EXPLORER = """
    import time
    import numpy as np
    from asrlib import signals
    from asrlib.widgets import Explorer, choice, slider, steps, switch

    class Tone(Explorer):
        size, seconds, values_seen = (6, 2), 0.0, []

        def controls(self):
            return {
                "frequency": slider("frequency", 440, low=50, high=2000, step=10, unit="Hz"),
                "noise": steps("noise", [("none", np.inf), ("20 dB", 20.0), ("0 dB", 0.0)], value=20.0),
                "wave": choice("wave", ["sine", "square"]),
                "rectified": switch("rectified"),
            }

        def compute(self, *, frequency, noise, wave, rectified):
            time.sleep(self.seconds)
            self.values_seen.append(frequency)
            result = getattr(signals, wave)(frequency, seconds=0.02)
            hiss = signals.white_noise(0.02, rng=np.random.default_rng(0))
            result = result + hiss / 10 ** (noise / 20)
            return np.abs(result) if rectified else result

        def build(self, figure, result):
            (self.line,) = figure.subplots().plot(result)
            return [self.line]

        def draw(self, result):
            self.line.set_ydata(result)

        def describe(self, result):
            return f"The largest value is {result.max():.2f}."

        def sound(self, result):
            return np.tile(result, 10)

    tone = Tone()
    start = tone.values
    tone
"""


@pytest.fixture(scope="module")
def lesson(lab, tmp_path_factory):
    file = tmp_path_factory.mktemp("explorer") / "explorer.ipynb"
    cell = {
        "cell_type": "code",
        "id": "tone",
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
    lesson.execute("tone.seconds = 0; tone.set(**start)")
    return lesson.scroll_to("tone")


def value(lesson, expression):
    return json.loads(lesson.execute(f"import json; print(json.dumps({expression}))"))


def wait_for(lesson, expression):
    lesson.wait_until(lambda: value(lesson, expression), f"{expression} did not become true")


def wait_for_another(lesson, cell, picture):
    lesson.wait_until(lambda: lesson.picture(cell) != picture, "the picture did not change")


def focused(lesson, control):
    return control.evaluate("control => control === document.activeElement")


def test_a_dragged_slider_leaves_no_queue_behind(lesson, cell):
    """Each drawing takes 0.15 s here; a queue of all values would draw for many seconds after the drag."""
    lesson.execute("tone.seconds = 0.15; tone.values_seen.clear()")
    handle = cell.locator(".noUi-handle").first
    cell.evaluate("""cell => {
        window.seen = 0;
        new MutationObserver(all => { window.seen += all.length }).observe(
            cell.querySelector('.noUi-handle'), {attributes: true, attributeFilter: ['aria-valuenow']});
    }""")
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    lesson.page.mouse.move(x, y)
    lesson.page.mouse.down()
    for step in range(60):  # to the right, back, and to the right again
        lesson.page.mouse.move(x + 70 * abs((step % 40) - 20) / 20, y)
        lesson.page.wait_for_timeout(15)
    drawn_during = value(lesson, "len(tone.values_seen)")
    lesson.page.mouse.up()
    shown = float(handle.get_attribute("aria-valuenow"))
    lesson.wait_until(lambda: value(lesson, "tone.values_seen[-1]") == shown, "the last value was not drawn")
    lesson.page.wait_for_timeout(700)
    changes, values = lesson.page.evaluate("() => window.seen"), value(lesson, "tone.values_seen")
    print(
        f"\n{changes} changes in the page, {len(values)} drawings, {len(values) - drawn_during} of them after"
    )
    assert changes > 25
    assert 3 <= len(values) < changes / 2
    assert len(values) - drawn_during <= 3  # the one under way, and the last values
    assert values[-1] == shown == value(lesson, "tone.values['frequency']")


def test_every_control_is_reached_and_turned_by_the_keyboard_alone(lesson, cell):
    controls = lesson.controls(cell)
    assert len(controls) == len(UNITS)
    cell.evaluate("cell => cell.focus()")
    keyboard = lesson.page.keyboard
    turns = [
        ("frequency", ["ArrowRight", "ArrowUp", "ArrowLeft", "ArrowRight"], 460),
        ("noise", ["ArrowRight"], 0),
        ("wave", ["ArrowDown"], "square"),
        ("rectified", ["Space"], True),
    ]
    for control, (name, keys, expected) in zip(controls, turns, strict=True):
        for _ in range(12):
            if focused(lesson, control):
                break
            keyboard.press("Tab")
        assert focused(lesson, control), f"Tab never reached {name}"
        picture = lesson.picture(cell)
        for key in keys:
            keyboard.press(key)
        wait_for(lesson, f"tone.values['{name}'] == {expected!r}")
        wait_for_another(lesson, cell, picture)
        assert focused(lesson, control)
    lesson.screenshot("explorer_by_keyboard", element=cell)
    reset = cell.get_by_role("button", name="Reset")
    keyboard.press("Tab")
    assert focused(lesson, reset)
    keyboard.press("Enter")
    wait_for(lesson, "tone.values == start")


def test_every_control_has_its_name_and_its_unit_beside_it(lesson, cell):
    for control, (name, unit) in zip(lesson.controls(cell), UNITS.items(), strict=True):
        beside = lesson.text_beside(control)
        assert beside.startswith(name)
        assert unit in beside


def test_the_player_is_given_the_sound_when_the_slider_rests(lesson, cell):
    before = value(lesson, "tone.widget.player.value.hex()[-4000:]")
    cell.locator(".noUi-handle").first.focus()
    lesson.page.keyboard.press("ArrowRight")
    lesson.wait_until(
        lambda: value(lesson, "tone.widget.player.value.hex()[-4000:]") != before,
        "the sound stayed as it was",
    )
    assert cell.locator("audio").is_visible()


def test_an_error_is_shown_above_the_picture_and_goes(lesson, cell):
    lesson.execute("tone.seconds = None")
    cell.locator(".noUi-handle").first.focus()
    lesson.page.keyboard.press("ArrowRight")
    cell.get_by_text("The picture shows the last values that worked.").wait_for()
    lesson.screenshot("explorer_error", element=cell)
    lesson.execute("tone.seconds = 0")
    lesson.page.keyboard.press("ArrowRight")
    cell.get_by_text("The picture shows the last values that worked.").wait_for(state="detached")
