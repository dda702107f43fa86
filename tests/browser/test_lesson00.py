"""Lesson 0 as a learner meets it: in JupyterLab, with a slider under the hand and a microphone that hears."""

import time
from statistics import median

import numpy as np
import pytest
from lab import fake_microphone

from asrlib import audio, datasets
from asrlib.recognizer import Recognizer

NOTEBOOK = "notebooks/00_a_machine_that_hears_digits.ipynb"
DIGIT = "7"
CHANGES = 30


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Write a WAV in which an unseen voice says one digit every three seconds."""
    machine = Recognizer.synthetic()
    clips = datasets.digits("test").where(label=DIGIT)
    clip = next(clip for clip in clips if machine.transcribe(clip).probability > 0.9)
    before, after = np.zeros(16_000, np.float32), np.zeros(32_000 - len(clip.samples), np.float32)
    samples = np.concatenate([before, clip.samples, after])
    # The rate of a sound device, so that nothing but our own code changes it.
    samples = audio.resample(samples, source_rate=16_000, target_rate=48_000)
    return audio.write(tmp_path_factory.mktemp("voice") / "spoken.wav", samples, sample_rate=48_000)


@pytest.fixture(scope="module")
def lesson(lab, spoken):
    """Open lesson 0 and run all of it; the tests below go on in the same page, in their order."""
    lesson = lab.open(NOTEBOOK, browser_options=fake_microphone(spoken))
    began = time.monotonic()
    lesson.run_all(seconds=400)
    print(f"\nlesson 0: all cells ran in {time.monotonic() - began:.0f} s")
    return lesson


def value(lesson, expression):
    return lesson.execute(f"print({expression}, end='')")


def test_every_cell_runs(lesson):
    assert lesson.errors() == []


def test_the_page_reports_no_error(lesson):
    assert [text for kind, text in lesson.console if kind in ("error", "pageerror")] == []


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_lesson_looks_well_in_both_themes(lesson, theme):
    """Nothing is judged here but that it can be drawn: the pictures are for eyes."""
    lesson.use_theme(f"JupyterLab {theme}")
    for number, cell in enumerate(lesson.cells()):
        if cell["cell_type"] == "code" and any("image/png" in out.get("data", {}) for out in cell["outputs"]):
            lesson.scroll_to(cell["id"])
            lesson.page.wait_for_timeout(300)
            lesson.screenshot(f"lesson00_{theme.lower()}_{number:03d}")


def test_the_picture_follows_the_slider(lesson):
    lesson.use_theme("JupyterLab Light")
    cell = lesson.scroll_to(lesson.id_of_cell_ending("explorer"))
    before, said = lesson.picture(cell), value(lesson, "explorer.values")
    slider = cell.locator(".noUi-handle").first
    slider.focus()
    for _ in range(6):  # from no noise to 5 dB
        lesson.page.keyboard.press("ArrowRight")
    lesson.wait_until(lambda: lesson.picture(cell) != before, "the picture did not change")
    lesson.wait_until(lambda: value(lesson, "explorer.values['snr_db']") == "5.0", "the slider did not move")
    assert value(lesson, "explorer.values") != said
    assert value(lesson, "explorer.error") == "None"
    assert "The machine writes" in cell.inner_text()
    lesson.screenshot("lesson00_explorer")


@pytest.mark.parametrize(("control", "name"), [(0, "noise"), (1, "speed")])
def test_the_picture_follows_every_change(lesson, control, name):
    cell = lesson.scroll_to(lesson.id_of_cell_ending("explorer"))
    cell.get_by_role("button", name="Reset").click()
    lesson.page.wait_for_timeout(1000)
    there_and_back = ["ArrowRight"] * 5 + ["ArrowLeft"] * 5
    taken = lesson.time_changes(
        cell, cell.locator(".noUi-handle").nth(control), keys=there_and_back * (CHANGES // 10)
    )
    assert len(taken) == CHANGES
    print(
        f"\n{name}: change to picture, median of {CHANGES}: {median(taken):.0f} ms, worst {max(taken):.0f} ms"
    )


def test_the_spoken_digit_is_recognised(lesson):
    cell = lesson.scroll_to(lesson.id_of_cell_ending("microphone"))
    lesson.execute("microphone.audio = None")
    cell.locator("button.asr-record").click()
    cell.get_by_text("Speak now").wait_for()
    lesson.page.wait_for_timeout(4500)  # the digit comes every 3 s, so it is in there whole
    lesson.screenshot("lesson00_recording")
    cell.locator("button.asr-record", has_text="Stop").click()
    arrived = "microphone.audio is not None and not microphone.error"
    lesson.wait_until(lambda: value(lesson, arrived) == "True", "no recording arrived")
    assert float(value(lesson, "len(microphone.audio) / 16_000")) > 4
    assert value(lesson, "recognizer.transcribe(microphone.audio).text") == DIGIT
    cell.get_by_text(f"The machine writes {DIGIT}").wait_for()
    assert value(lesson, "explorer.values['clip']") == "my voice"
    lesson.screenshot("lesson00_recognised")
