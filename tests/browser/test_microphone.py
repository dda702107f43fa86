"""The microphone in a real browser: what is played into it arrives, what goes wrong is said in words."""

import json
import time

import numpy as np
import pytest
from lab import ELSEWHERE, fake_microphone

from asrlib import audio

RATE = 16_000
SECONDS = 2.0  # of the sound that the fake device repeats

NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": "microphone",
            "metadata": {},
            "execution_count": None,
            "outputs": [],
            "source": "from asrlib.widgets import Microphone\nmicrophone = Microphone()\nmicrophone",
        }
    ],
    "metadata": {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    },
    "nbformat": 4,
    "nbformat_minor": 5,
}


@pytest.fixture
def notebook(tmp_path):
    file = tmp_path / "microphone.ipynb"
    file.write_text(json.dumps(NOTEBOOK))
    return file


def sweep():
    """Make a sound that is nowhere like itself: a chirp from 200 to 3000 Hz that fades in and out."""
    seconds = np.arange(round(SECONDS * RATE)) / RATE
    phase = 2 * np.pi * (200 * seconds + (3000 - 200) / (2 * SECONDS) * seconds**2)
    return (0.4 * np.sin(phase) * np.hanning(len(seconds))).astype(np.float32)


def open_cell(lab, notebook, **options):
    lesson = lab.open(notebook, **options)
    lesson.run_all()
    assert lesson.errors() == []
    return lesson, lesson.scroll_to("microphone")


def arrived(lesson):
    """Return the samples that Python has, or None."""
    values = lesson.execute("print('' if microphone.audio is None else microphone.audio.tolist())")
    return np.array(json.loads(values)) if values.strip() else None


def state(lesson):
    return lesson.execute("print(microphone.recorder.state)").strip()


def wait_for_samples(lesson):
    ready = "print(microphone.audio is not None)"
    lesson.wait_until(lambda: lesson.execute(ready).strip() == "True", "no samples arrived in Python")


def likeness(samples, played):
    """Return how well pieces of a recording fit into the repeated sound: the median of their correlations.

    By pieces of 0.1 s, because a busy machine drops samples of the fake device now and then.
    """
    repeated = np.concatenate([played, played[:1600]])
    power = np.convolve(repeated**2, np.ones(1600), "valid")
    fits = []
    for piece in samples[: len(samples) // 1600 * 1600].reshape(-1, 1600):
        product = np.correlate(repeated, piece, "valid")
        fits.append(np.max(product / np.sqrt(power * np.sum(piece**2))))
    return float(np.median(fits))


def test_what_is_played_into_the_microphone_arrives_in_python(lab, notebook, tmp_path):
    played = audio.resample(sweep(), source_rate=RATE, target_rate=48_000)
    file = audio.write(tmp_path / "sweep.wav", played, sample_rate=48_000)
    lesson, cell = open_cell(lab, notebook, browser_options=fake_microphone(file))
    cell.locator("button.asr-record").click()
    cell.get_by_text("Speak now").wait_for()
    lesson.page.wait_for_timeout(2500)
    lesson.screenshot("microphone_recording")
    pressed = time.monotonic()
    cell.locator("button.asr-record", has_text="Stop").click()
    wait_for_samples(lesson)
    print(f"\nsamples in Python {time.monotonic() - pressed:.2f} s after Stop")
    samples = arrived(lesson)
    assert len(samples) > 2 * RATE
    assert likeness(samples, sweep()) > 0.98
    assert state(lesson) == "done"
    assert "of sound arrived" in cell.inner_text()


def test_a_second_recording_replaces_the_first(lab, notebook, tmp_path):
    file = audio.write(tmp_path / "sweep.wav", sweep())
    lesson, cell = open_cell(lab, notebook, browser_options=fake_microphone(file))
    for number in (1, 2):
        cell.locator("button.asr-record").click()
        cell.get_by_text("Speak now").wait_for()
        lesson.page.wait_for_timeout(400 * number)
        lesson.execute("microphone.audio = None")
        cell.locator("button.asr-record", has_text="Stop").click()
        wait_for_samples(lesson)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        (
            "refused",
            {"browser_options": ["--use-fake-device-for-media-stream", "--deny-permission-prompts"]},
            "allow the microphone",
        ),
        ("missing", {"browser_options": ["--use-fake-ui-for-media-stream"]}, "no microphone. Plug one in"),
        ("elsewhere", {"host": ELSEWHERE}, "with https"),
    ],
)
def test_a_missing_microphone_is_explained(lab, notebook, name, options, said):
    lesson, cell = open_cell(lab, notebook, **options)
    cell.locator("button.asr-record").click()
    cell.get_by_text(said).wait_for(timeout=20_000)
    assert cell.locator("button.asr-record").is_visible()  # one can try again
    assert "upload" in cell.locator(".asr-status").inner_text()
    lesson.wait_until(lambda: state(lesson) == "error", "Python was not told")
    lesson.screenshot(f"microphone_{name}")


def test_an_uploaded_recording_arrives_too(lab, notebook, tmp_path):
    file = audio.write(tmp_path / "me.wav", sweep())
    lesson, cell = open_cell(lab, notebook)
    with lesson.page.expect_file_chooser() as chooser:
        cell.locator("button.asr-upload").click()
    chooser.value.set_files(file)
    cell.get_by_text("of sound arrived").wait_for()
    assert likeness(arrived(lesson), sweep()) > 0.999
