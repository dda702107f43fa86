"""Measure how long a learner waits from turning a control to seeing the new picture, in a real JupyterLab.

    .venv/bin/python benchmarks/latency.py                  # about five minutes on two cores; needs Chromium
    .venv/bin/python benchmarks/latency.py MfccExplorer     # the comparison and this explorer alone

What is measured: the milliseconds from the change of a control's value in the page to the moment when the
browser has decoded the new picture. The page's own clock takes both times, so that neither the key's way into
the browser nor this script is counted. The first is when the slider's handle takes its new place (a list or a
switch: when it reports its input). The second is when `decode()` of the image succeeds that was then put into
the page or given a new source; it is on the screen with the next refresh, at most one frame later. In between
lie the message to the kernel, the computation, the drawing, the PNG, the message back.

A change is one press of an arrow key on the focused control, the next one 50 ms after the last picture.

The peer is the ordinary way: `ipywidgets.interact` with Matplotlib's inline pictures. It and an explorer do
the same work (noise mixed into a clip at a ratio, its waveform above its log-mel picture, same size, same
functions of `asrlib.plots`), in the same page and kernel, in turns, change by change.

Then come the explorers of the lessons, every control that changes the picture.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "browser"))

from lab import Lab, Lesson

from asrlib import widgets

CHANGES = 30
THERE_AND_BACK = (["ArrowRight"] * 5 + ["ArrowLeft"] * 5) * (CHANGES // 10)
GOAL_MS = 100

SET_UP = """
from asrlib import datasets
from asrlib.recognizer import Recognizer
from asrlib.widgets.digits import some_clips
recognizer = Recognizer.default()
clips = some_clips(datasets.digits("test"))
others = [clip.samples for clip in some_clips(datasets.digits("train"))]
"""
WORK = """
import ipywidgets
import matplotlib.pyplot as plt
import numpy as np
from asrlib import features, plots, signals
from asrlib.widgets import Explorer, slider
clean = clips[0].samples
hiss = signals.white_noise(len(clean) / 16_000, rng=np.random.default_rng(0))

def mixed(snr_db):
    samples = signals.mix(clean, hiss[:len(clean)], snr_db=snr_db, limit=True)
    return samples, features.log_mel(samples)
"""
PEER = """
@ipywidgets.interact(snr_db=ipywidgets.FloatSlider(value=10, min=-10, max=30, step=1))
def show(snr_db):
    samples, picture = mixed(snr_db)
    _, (above, below) = plt.subplots(2, 1, figsize=(7, 4), dpi=100, layout="constrained")
    plots.waveform(samples, ax=above)
    plots.log_mel(picture, ax=below)
    plt.show()
"""
OURS = """
class Mixed(Explorer):
    size = (7, 4)
    def controls(self):
        return {"snr_db": slider("SNR", 10, low=-10, high=30, step=1, unit="dB")}
    def compute(self, *, snr_db):
        return mixed(snr_db)
    def build(self, figure, result):
        above, below = figure.subplots(2, 1)
        self.line = plots.waveform(result[0], ax=above).lines[0]
        self.image = plots.log_mel(result[1], ax=below).images[0]
        return [self.line, self.image]
    def draw(self, result):
        self.line.set_ydata(result[0])
        self.image.set_data(result[1].T)
peer = Mixed()
peer
"""
EXPLORERS = {
    "DigitExplorer": "DigitExplorer(recognizer, clips)",
    "SamplingExplorer": "SamplingExplorer(clips)",
    "QuantizationExplorer": "QuantizationExplorer(clips)",
    "FilterExplorer": "FilterExplorer(clips, recognizer=recognizer)",
    "DenoiseExplorer": "DenoiseExplorer(recognizer, clips, babble=others)",
    "MfccExplorer": "MfccExplorer(clips)",
    "TimeFrequencyExplorer": "TimeFrequencyExplorer()",
}


def main() -> None:
    """Open JupyterLab, measure, print."""
    parser = argparse.ArgumentParser(description="Measure the time from slider to picture.")
    there = {name: code for name, code in EXPLORERS.items() if name in dir(widgets)}
    parser.add_argument("names", nargs="*", choices=[*there, []], help="explorers; all when left out")
    chosen = parser.parse_args().names or list(there)
    there = {name: there[name] for name in chosen}
    with tempfile.TemporaryDirectory() as folder, Lab(Path(folder) / "lab") as lab:
        lesson = lab.open(write_notebook(Path(folder), there), viewport=(1280, 1600))
        lesson.run_all()
        if lesson.errors():
            sys.exit("The explorers do not start:\n" + "\n".join(lesson.errors()))
        interact, ours = compare(lesson)
        print_machine()
        print_row("", "control", "changes", "median ms", "90 % ms")
        report("ipywidgets.interact", "SNR", interact)
        report("Explorer, same work", "SNR", ours)
        print(f"interact takes {statistics.median(interact) / statistics.median(ours):.1f} times as long.\n")
        for name in there:
            measure(lesson, name)


def write_notebook(folder: Path, explorers: dict[str, str]) -> Path:
    """Write the notebook that is measured; each explorer is shown by a cell that bears its name."""
    sources = {"setup": SET_UP + WORK, "interact": PEER, "ours": OURS}
    for name, code in explorers.items():
        sources[name] = f"from asrlib.widgets import {name}\n{name.lower()} = {code}\n{name.lower()}"
    cells = [
        {
            "cell_type": "code",
            "id": name,
            "metadata": {"jupyter": {"source_hidden": True}},
            "execution_count": None,
            "outputs": [],
            "source": source.strip(),
        }
        for name, source in sources.items()
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    file = folder / "latency.ipynb"
    file.write_text(json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}))
    return file


def compare(lesson: Lesson) -> tuple[list[float], list[float]]:
    """Turn the sliders of both in turns; return the milliseconds of each."""
    both = [lesson.scroll_to("interact"), lesson.scroll_to("ours")]
    taken: tuple[list[float], list[float]] = ([], [])
    for key in ["ArrowRight", "ArrowLeft", *THERE_AND_BACK]:  # the first two are thrown away: a start
        for cell, times in zip(both, taken, strict=True):
            times += lesson.time_changes(cell, lesson.controls(cell)[0], keys=[key])
    return taken[0][2:], taken[1][2:]


def measure(lesson: Lesson, name: str) -> None:
    """Turn every control of an explorer and report each."""
    cell = lesson.scroll_to(name)
    everything: list[float] = []
    for control in lesson.controls(cell):
        is_switch = control.evaluate("control => control.type === 'checkbox'")
        is_list = control.evaluate("control => control.tagName === 'SELECT'")
        keys = ["Space"] * CHANGES if is_switch else THERE_AND_BACK
        if is_list:
            keys = ["ArrowDown" if key == "ArrowRight" else "ArrowUp" for key in keys]
        label = lesson.name_of(control)
        taken = lesson.time_changes(cell, control, keys=keys)
        report(name, label, taken)
        everything += taken
        cell.get_by_role("button", name="Reset").click()
        lesson.page.wait_for_timeout(600)
    report(name, "all controls", everything)
    print()


def report(name: str, control: str, taken: Sequence[float]) -> None:
    """Print one line of the table."""
    if len(taken) < 4:
        print_row(name, control, len(taken), "no effect", "")
        return
    median, late = statistics.median(taken), statistics.quantiles(taken, n=10)[-1]
    mark = "" if median <= GOAL_MS or "interact" in name else f"  above {GOAL_MS}"
    print_row(name, control, len(taken), f"{median:.0f}", f"{late:.0f}{mark}")


def print_row(name: str, control: str, changes: object, median: str, late: str) -> None:
    print(f"{name:24s} {control:28s} {changes!s:>8s} {median:>10s} {late:>8s}", flush=True)


def print_machine() -> None:
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{platform.machine()}, {os.cpu_count()} cores, {load}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
