"""Measure how long a spoken word takes to the screen: the live microphone in a real JupyterLab, in Chromium.

    .venv/bin/python benchmarks/live.py                     # about four minutes on two cores; needs Chromium
    .venv/bin/python benchmarks/live.py --listeners strings --chunks 0.1 0.04

What is measured: the milliseconds from the end of a word in the sound to the moment when its letters have
been painted, for 30 words that Chromium plays as its microphone.

The end of a word is known from the file that is played: its clips are trimmed to 50 ms behind the last sound
(see the data card), so a word ends 50 ms before its clip does. When that moment came is measured in the page:
a second tap on the same microphone records what the page gets, each piece with the time of its last sample on
the clock of the sound; the least delay between a piece's time there and its arrival on the page's clock joins
the two clocks. Afterwards each word is found in that recording by correlation with the file, to a sixteenth
of a millisecond, whatever a busy machine may have dropped between words. The device itself, which has no
sound to wait for, is not in it: a real one takes its buffer on top.

The painting is seen by an observer of the page's text, not by the widget: it takes the time when the picture
that followed the change is out. Words are matched with what was written by the cheapest alignment of the two
texts; a word that was misheard counts with its time, one that was not written is counted as missed. A
listener that decides before a word has ended, as one may for "seven" once "sev" is out, gets a time below 0.

The number that the widget shows the learner starts at the listener's own time for the word. It is printed
beside, with its parts.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.signal import correlate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "browser"))

from lab import Lab, Lesson, fake_microphone

from asrlib import audio, datasets, texts

RATE = audio.SAMPLE_RATE
WORDS = 30
GOAL_MS = 300
MARGIN = 0.05  # seconds that a clip goes on after its word
LEAD, TAIL = 3.0, 2.5  # seconds of quiet around the words
NEAR = 0.5  # seconds around where a word should be that are searched for it

LISTENERS = {
    "strings": "None",  # what a live microphone takes by itself
    "causal": "StringListener(StringRecognizer.streaming())",
    "words": "StreamingRecognizer(Recognizer.default())",
}
CELL = """
from asrlib.recognizer import Recognizer
from asrlib.streaming import StreamingRecognizer, StringListener
from asrlib.string_recognizer import StringRecognizer
from asrlib.widgets import LiveMicrophone
live = LiveMicrophone({listener}, chunk_seconds={chunk})
live
"""

# Records what the page gets from its microphone, and when; and when the text on the page was painted anew.
WATCH = """
() => {
    const watch = window.watch = {pieces: [], delay: Infinity, painted: []};
    const code = `registerProcessor("ear", class extends AudioWorkletProcessor {
        heard = [];
        process(inputs) {
            if (inputs[0][0]) this.heard.push(...inputs[0][0]);
            if (this.heard.length < 1024) return true;
            const stop = (currentFrame + 128) / sampleRate;
            this.port.postMessage({samples: new Float32Array(this.heard.splice(0)), stop});
            return true;
        }
    });`;
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async wanted => {
        const stream = await open(wanted);
        const context = new AudioContext();
        watch.rate = context.sampleRate;
        const blob = new Blob([code], {type: 'text/javascript'});
        await context.audioWorklet.addModule(URL.createObjectURL(blob));
        const ear = new AudioWorkletNode(context, 'ear', {numberOfOutputs: 0});
        ear.port.onmessage = ({data}) => {
            watch.delay = Math.min(watch.delay, performance.now() - 1000 * data.stop);
            watch.first ??= data.stop - data.samples.length / watch.rate;
            watch.pieces.push(data.samples);
        };
        context.createMediaStreamSource(stream).connect(ear);
        return stream;
    };
    const paper = document.querySelector('.asr-paper');
    const read = () => paper.innerText.match(/\\d/g)?.length ?? 0;
    let seen = read();
    new MutationObserver(() => {
        const count = read();
        if (count <= seen) return;
        const [from, to] = [seen, count];
        seen = count;
        requestAnimationFrame(() => {
            const channel = new MessageChannel();  // its message comes when the picture is out
            channel.port1.onmessage = () => {
                for (let i = from; i < to; i += 1) watch.painted.push(performance.now());
            };
            channel.port2.postMessage(null);
        });
    }).observe(paper, {subtree: true, childList: true, characterData: true});
}
"""
RECORDED = """
() => {
    const length = watch.pieces.reduce((sum, piece) => sum + piece.length, 0);
    const all = new Int16Array(length);
    let at = 0;
    for (const piece of watch.pieces)
        for (const value of piece) all[at++] = 32767 * Math.max(-1, Math.min(1, value));
    const bytes = new Uint8Array(all.buffer);
    const parts = [];
    for (let i = 0; i < bytes.length; i += 32768)
        parts.push(String.fromCharCode(...bytes.subarray(i, i + 32768)));
    const {rate, first, delay, painted} = watch;
    return {rate, first, delay, painted, sound: btoa(parts.join(''))};
}
"""


@dataclass(frozen=True)
class Spoken:
    """What is played: the sound, and where its words lie in it."""

    samples: np.ndarray
    words: tuple[str, ...]
    starts: tuple[int, ...]  # samples
    stops: tuple[int, ...]  # of the clips, margins included


def main() -> None:
    """Open JupyterLab, let Chromium speak, print."""
    parser = argparse.ArgumentParser(description="Measure the time from the end of a word to its letters.")
    parser.add_argument("--listeners", nargs="+", choices=LISTENERS, default=list(LISTENERS))
    parser.add_argument("--chunks", nargs="+", type=float, default=[0.1], help="their lengths in seconds")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    spoken = compose(np.random.default_rng(chosen.seed))
    print_machine()
    print(f"{WORDS} words in {len(spoken.samples) / RATE:.0f} s; goal: median at most {GOAL_MS} ms")
    print(
        f"{'listener':10s} {'chunk':>7s} {'right':>6s} {'missed':>7s} {'median ms':>10s} {'90 % ms':>8s} "
        f"{'most ms':>8s}   the widget's own: median = waiting + kernel + painting"
    )
    with tempfile.TemporaryDirectory() as folder:
        played = audio.resample(spoken.samples, source_rate=RATE, target_rate=48_000)
        file = audio.write(Path(folder) / "spoken.wav", played, sample_rate=48_000)
        with Lab(Path(folder) / "lab") as lab:
            for name in chosen.listeners:
                for chunk in chosen.chunks:
                    report(name, chunk, *listen(lab, Path(folder), file, spoken, name=name, chunk=chunk))


def compose(rng: np.random.Generator) -> Spoken:
    """Put words of speakers whom no recogniser here has heard one after the other, with pauses between."""
    clips = datasets.digits("test")
    parts = [np.zeros(round(LEAD * RATE), np.float32)]
    words, starts, stops = [], [], []
    for index in rng.choice(len(clips), WORDS, replace=False):
        clip = clips[int(index)]
        starts.append(sum(map(len, parts)))
        parts.append(clip.samples)
        words.append(clip.label)
        stops.append(starts[-1] + len(clip.samples))
        parts.append(np.zeros(round(rng.uniform(0.4, 1.0) * RATE), np.float32))
    parts.append(np.zeros(round(TAIL * RATE), np.float32))
    samples = np.concatenate(parts)
    samples += rng.normal(0, 3e-4, len(samples)).astype(np.float32)  # no microphone is ever quite silent
    return Spoken(audio.peak_limit(samples), tuple(words), tuple(starts), tuple(stops))


def listen(
    lab: Lab, folder: Path, file: Path, spoken: Spoken, *, name: str, chunk: float
) -> tuple[dict, list, Spoken]:
    """Play the file to a live microphone; return what the page saw, the widget's own times, what was said."""
    notebook = write_notebook(folder, CELL.format(listener=LISTENERS[name], chunk=chunk).strip())
    lesson = lab.open(notebook, browser_options=fake_microphone(f"{file}%noloop"))
    lesson.run_all()
    if lesson.errors():
        sys.exit("The live microphone does not start:\n" + "\n".join(lesson.errors()))
    view = lesson.scroll_to("live").locator(".asr-live")
    view.wait_for()
    lesson.page.evaluate(WATCH)
    view.get_by_role("button", name="Start").click()
    lesson.page.wait_for_timeout(1000 * (len(spoken.samples) / RATE + 1))
    seen = lesson.page.evaluate(RECORDED)
    seen["text"] = read(lesson, "live.text.split()")
    view.get_by_role("button", name="Stop").click()
    if read(lesson, "[live.lost_seconds, str(live.error or '')]") != [0, ""]:
        print("  not all of the sound arrived, or the listener failed", file=sys.stderr)
    own = read(lesson, "[[each.waiting_ms, each.kernel_ms, each.paint_ms] for each in live.latencies]")
    return seen, own, spoken


def read(lesson: Lesson, expression: str) -> list:
    return json.loads(lesson.execute(f"import json; print(json.dumps({expression}))"))


def write_notebook(folder: Path, source: str) -> Path:
    cell = {"cell_type": "code", "id": "live", "metadata": {}, "execution_count": None, "outputs": []}
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook = {"cells": [cell | {"source": source}], "metadata": {"kernelspec": kernel}}
    file = folder / "live.ipynb"
    file.write_text(json.dumps(notebook | {"nbformat": 4, "nbformat_minor": 5}))
    return file


def ends_on_page(seen: dict, spoken: Spoken) -> list[float | None]:
    """Return when each word ended, in ms on the page's clock; None for one that is not in the recording."""
    sound = np.frombuffer(base64.b64decode(seen["sound"]), "<i2").astype(np.float32) / 32_768
    sound = audio.resample(sound, source_rate=round(seen["rate"]), target_rate=RATE)
    shift = find(spoken.samples[spoken.starts[0] : spoken.stops[-1]], sound)[0] - spoken.starts[0]
    ends: list[float | None] = []
    for start, stop in zip(spoken.starts, spoken.stops, strict=True):
        first = max(0, start + shift - round(NEAR * RATE))
        near = sound[first : stop + shift + round(NEAR * RATE)]
        place, likeness = find(spoken.samples[start:stop], near)
        seconds = (first + place + stop - start) / RATE - MARGIN
        ends.append(1000 * (seen["first"] + seconds) + seen["delay"] if likeness > 0.8 else None)
    return ends


def find(part: np.ndarray, whole: np.ndarray) -> tuple[int, float]:
    """Return where a part lies in a recording, and the correlation there."""
    product = correlate(whole, part, "valid", method="fft")
    power = np.cumsum(np.concatenate([[0.0], np.square(whole, dtype=np.float64)]))
    power = np.maximum(power[len(part) :] - power[: -len(part)], 1e-9) * np.sum(
        np.square(part, dtype=np.float64)
    )
    place = int(np.argmax(product))
    return place, float(product[place] / np.sqrt(power[place]))


def report(name: str, chunk: float, seen: dict, own: Sequence[Sequence[float]], spoken: Spoken) -> None:
    """Print one line of the table."""
    ends, painted = ends_on_page(seen, spoken), iter(seen["painted"])
    said = iter(zip(spoken.words, ends, strict=True))
    taken, missed, right = [], [], 0
    for edit in texts.align(list(spoken.words), seen["text"]):
        word, end = next(said) if edit.expected is not None else (None, None)
        time = next(painted, None) if edit.heard is not None else None
        right += edit.kind == "hit"
        if word is not None and edit.heard is None:
            missed.append(word)
        elif end is not None and time is not None:
            taken.append(time - end)
    if len(taken) < 2:
        sys.exit(f"Of {WORDS} words {len(taken)} appeared.")
    median, late = statistics.median(taken), statistics.quantiles(taken, n=10)[-1]
    parts = [statistics.median(part) for part in zip(*own, strict=True)]
    whole = statistics.median(map(sum, own))
    mark = "" if median <= GOAL_MS else f"   above {GOAL_MS}"
    print(
        f"{name:10s} {1000 * chunk:4.0f} ms {right:6d} {len(missed):7d} {median:10.0f} {late:8.0f} "
        f"{max(taken):8.0f}   {whole:.0f} = {' + '.join(f'{part:.0f}' for part in parts)}{mark}",
        flush=True,
    )


def print_machine() -> None:
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    print(f"{platform.machine()}, {os.cpu_count()} cores, {load}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
