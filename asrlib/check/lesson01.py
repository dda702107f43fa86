"""The checks of lesson 1, "Sampling"."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asrlib import audio
from asrlib.check.base import call, exercise, expect, show

__all__ = ["bits_for", "count_clipped", "decimate", "save", "suspects"]


@exercise
def suspects(answer: Callable[[float, float, float], list[float]]) -> None:
    """Check a function that lists every frequency in the air that would be heard as a given one.

    Parameters
    ----------
    answer : callable
        ``answer(heard, sample_rate, highest)`` takes a frequency that was heard, from 0 to half the rate, the
        rate, and the highest frequency to look at, all in Hz. It returns all frequencies from 0 to `highest`
        that have this alias, in rising order, each once.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = suspects(lambda heard, rate, highest: [heard, rate + heard])
    not yet: frequencies below a multiple of the rate fold back too
    hint: Heard 1000 Hz at 8000 Hz, looked at up to 20000 Hz: 7000 Hz is missing. It lies 1000 Hz below
          the rate, and sounds the same as 1000 Hz above it.

    Lesson: 01
    """
    story = "Heard 1000 Hz at 8000 Hz, looked at up to 20000 Hz"
    got = _frequencies(call(answer, 1_000, 8_000, 20_000), story)
    expect(
        any(math.isclose(f, 1_000) for f in got),
        "the tone itself is a suspect",
        hint=f"{story}: it returns {_listed(got)}. A tone of 1000 Hz is heard as itself.",
    )
    expect(
        any(math.isclose(f, 7_000) for f in got),
        "frequencies below a multiple of the rate fold back too",
        hint=f"{story}: 7000 Hz is missing. It lies 1000 Hz below the rate, and sounds the same as 1000 Hz "
        "above it.",
    )
    expect(
        any(math.isclose(f, 9_000) for f in got),
        "frequencies above a multiple of the rate fold too",
        hint=f"{story}: 9000 Hz is missing. It lies 1000 Hz above the rate.",
    )
    expect(
        any(math.isclose(f, 17_000) for f in got),
        "every multiple of the rate counts",
        hint=f"{story}: 17000 Hz is missing. It lies 1000 Hz above twice the rate; go on to the highest "
        "frequency.",
    )
    for heard, rate, highest in ((1_000, 8_000, 20_000), (700, 2_000, 12_000), (250.5, 1_000, 5_000)):
        story = f"Heard {heard:g} Hz at {rate} Hz, looked at up to {highest} Hz"
        got = _frequencies(call(answer, heard, rate, highest), story)
        wanted = _all_suspects(heard, rate, highest)
        _expect_within(got, highest, story)
        wrong = [f for f in got if not any(math.isclose(f, w) for w in wanted)]
        expect(
            not wrong,
            "each of them is heard as the given frequency",
            hint=f"{story}: it names {wrong[0]:g} Hz, which is heard as {_alias(wrong[0], rate):g} Hz."
            if wrong
            else "",
        )
        _expect_all(got, wanted, story)
    for heard, where in ((0.0, "0 Hz"), (4_000.0, "half the rate")):
        story = f"Heard {heard:g} Hz at 8000 Hz, looked at up to 20000 Hz"
        got = _frequencies(call(answer, heard, 8_000, 20_000), story)
        expect(
            len(got) == len({round(f, 6) for f in got}),
            "no frequency is named twice",
            hint=f"{story}: it returns {_listed(got)}. At {where} the two neighbours fall together; keep "
            "one.",
        )
        _expect_all(got, _all_suspects(heard, 8_000, 20_000), story)


def _alias(frequency: float, rate: float) -> float:
    return abs(frequency - rate * round(frequency / rate))


def _all_suspects(heard: float, rate: float, highest: float) -> list[float]:
    multiples = np.arange(0, highest + rate, rate)
    both = {round(float(f), 6) for f in np.concatenate([multiples - heard, multiples + heard])}
    return sorted(f for f in both if 0 <= f <= highest)


def _frequencies(got: Any, story: str) -> list[float]:
    """Expect a collection of numbers."""
    try:
        found = [float(f) for f in got]
    except (TypeError, ValueError):
        found = None
    expect(
        found is not None,
        "the answer is a list of frequencies",
        hint=f"{story}: it returns {show(got)}. Collect the frequencies in a list.",
    )
    return found


def _expect_within(got: list[float], highest: float, story: str) -> None:
    outside = [f for f in got if not 0 <= f <= highest]
    expect(
        not outside,
        "only frequencies from 0 to the highest are named",
        hint=f"{story}: it names {outside[0]:g} Hz. Leave out what lies below 0 or above the highest."
        if outside
        else "",
    )


def _expect_all(got: list[float], wanted: list[float], story: str) -> None:
    """Expect the wanted frequencies in their order."""
    missing = [w for w in wanted if not any(math.isclose(f, w, abs_tol=1e-6) for f in got)]
    expect(
        not missing,
        "all of them are found, the highest frequency included",
        hint=f"{story}: {missing[0]:g} Hz is missing." if missing else "",
    )
    expect(
        got == sorted(got),
        "they come in rising order",
        hint=f"{story}: it returns {_listed(got)}. Sort them.",
    )


def _listed(values: list[float]) -> str:
    shown = [f"{value:g}" for value in values[:6]]
    return f"[{', '.join(shown)}{', ...' if len(values) > 6 else ''}]"


@exercise
def decimate(answer: Callable[[np.ndarray, int, int], np.ndarray]) -> None:
    """Check a function that lowers the sample rate by a whole factor, and filters first.

    Parameters
    ----------
    answer : callable
        ``answer(samples, factor, sample_rate)`` takes samples, a whole number and their rate in Hz. It
        returns every factor-th sample of the sound without what would alias.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = decimate(lambda samples, factor, sample_rate: samples[::factor])
    not yet: what lies above half the new rate is gone
    hint: A tone of 5000 Hz at 16000 Hz, decimated by 2, comes back at 3000 Hz, only 0 dB softer. Half the
    new rate is 4000 Hz: filter away what lies above, before you drop samples.

    Lesson: 01
    """
    for factor, rate in ((2, 16_000), (4, 16_000), (3, 24_000)):
        half = rate / factor / 2
        low, high = 0.4 * half, 1.25 * half
        story = f"{{}} of {{:.0f}} Hz at {rate} Hz, decimated by {factor},"
        tone = _tone(low, rate=rate)
        got = _samples(call(answer, tone.copy(), factor, rate), story.format("A tone", low))
        expected = -(-len(tone) // factor)
        expect(
            abs(len(got) - expected) <= 1,
            "one sample of every few is kept",
            hint=f"{len(tone)} samples decimated by {factor} leave {len(got)}; expected {expected}.",
        )
        loss = audio.level_db(tone) - _level(got)
        expect(
            abs(loss) < 1,
            "what lies well below half the new rate stays",
            hint=f"{story.format('A tone', low)} changes its level by {_signed(-loss)} dB. Half the new "
            "rate is "
            f"{half:.0f} Hz: place the edge of the filter just below it, and tell the filter the old rate.",
        )
        tone = _tone(high, rate=rate)
        got = _samples(call(answer, tone.copy(), factor, rate), story.format("A tone", high))
        loss = audio.level_db(tone) - _level(got)
        folded = f"comes back at {_alias(high, rate / factor):.0f} Hz, only {abs(loss):.0f} dB softer"
        expect(
            loss > 30,
            "what lies above half the new rate is gone",
            hint=f"{story.format('A tone', high)} {folded}. Half the new rate is {half:.0f} Hz: filter "
            "away what "
            "lies above, before you drop samples.",
        )


def _tone(hz: float, *, rate: int) -> np.ndarray:
    """Make half a second of a tone that fades in and out, so that it has no clicks."""
    time = np.arange(rate // 2) / rate
    return (0.3 * np.sin(2 * np.pi * hz * time) * np.hanning(len(time))).astype(np.float32)


def _samples(got: Any, story: str) -> np.ndarray:
    expect(
        not isinstance(got, tuple),
        "the answer is one row of samples",
        hint=f"{story} comes back as several things. Return the samples alone.",
    )
    got = np.asarray(got)
    expect(
        got.ndim == 1 and got.size > 0 and np.issubdtype(got.dtype, np.floating),
        "the answer is one row of samples",
        hint=f"{story} comes back as {show(got)} of type {got.dtype}. Return the samples alone.",
    )
    return got


def _level(samples: np.ndarray) -> float:
    return max(-300.0, audio.level_db(np.asarray(samples, np.float64)))


def _signed(number: float) -> str:
    return f"{number:+.1f}".replace("-", "\N{MINUS SIGN}")


@exercise
def save(answer: Callable[[Path, np.ndarray, int], Any]) -> None:
    """Check a function that writes a recording, so that it plays at the speed at which it was made.

    Parameters
    ----------
    answer : callable
        ``answer(path, samples, sample_rate)`` writes float32 samples at a rate in Hz to a WAV file. Whoever
        opens the file must hear what was recorded.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = save(lambda path, samples, sample_rate: audio.write(path, samples))
    not yet: the file plays at the speed of the recording
    hint: 0.50 s recorded at 24000 Hz last 0.75 s when the file is played, and a tone of 600 Hz sounds as
    400 Hz. The file says that it has 16000 samples a second. Tell audio.write the rate.

    Lesson: 01
    """
    for rate in (24_000, 44_100, 8_000, 16_000):
        made = _tone(600.0, rate=rate)
        played, header = _written_and_read(answer, made, rate)
        seconds = len(played) / header
        pitch = _pitch(played, header)
        wrong = f"0.50 s recorded at {rate} Hz last {seconds:.2f} s when the file is played"
        says = f"The file says that it has {header} samples a second."
        expect(
            not (len(played) == len(made) and header != rate),
            "the file plays at the speed of the recording",
            hint=f"{wrong}, and a tone of 600 Hz sounds as {pitch:.0f} Hz. {says} "
            + (
                "Tell audio.write the rate."
                if rate == 24_000
                else "Use the rate that comes in, not a fixed one."
            ),
        )
        expect(
            abs(seconds - 0.5) < 0.002,
            "the file lasts as long as the recording",
            hint=f"{wrong}: {len(made)} samples went in, {len(played)} are in the file. {says} If you "
            "resample, "
            "go from the rate of the recording to the rate in the file.",
        )
        expect(
            abs(pitch - 600) < 8,
            "the pitch stays what it was",
            hint=f"A tone of 600 Hz, recorded at {rate} Hz, sounds as {pitch:.0f} Hz when the file is "
            "played. "
            "Cutting or padding makes the length right, not the sound.",
        )
        if rate > 16_000:
            high = _tone(0.4 * rate, rate=rate)
            played, header = _written_and_read(answer, high, rate)
            there = _level(played) - _level(high)
            heard = _pitch(played, header)
            expect(
                there < -30 or abs(heard - 0.4 * rate) < 8,
                "no tone appears that was not recorded",
                hint=f"A tone of {0.4 * rate:.0f} Hz, recorded at {rate} Hz, sounds as {heard:.0f} Hz when "
                "the "
                "file is played: it was folded. Do not drop samples; keep all of them and say the rate.",
            )


def _written_and_read(answer: Callable[..., Any], samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.wav"
        call(answer, path, samples.copy(), rate, may_be_none=True)
        expect(
            path.is_file(),
            "there is a file at the path",
            hint="After the call no file is there. Write the samples with audio.write(path, ...).",
        )
        try:
            # audio.load_native refuses silence, and a resampler may leave just that of a high tone.
            return soundfile.read(path, dtype="float32")
        except soundfile.LibsndfileError as error:
            expect(False, "the file is a sound file", hint=f"It cannot be read: {error.error_string}")


def _pitch(samples: np.ndarray, rate: int) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    return float(power.argmax() * rate / len(samples))


@exercise
def bits_for(answer: Callable[[float], int]) -> None:
    """Check a function that gives the fewest bits with which a full-scale sine keeps a wanted ratio.

    Parameters
    ----------
    answer : callable
        ``answer(snr_db)`` takes the wanted signal-to-noise ratio in dB, above 1.76, and returns the smallest
        whole number of bits that reaches it by the rule SNR = 6.02 bits + 1.76.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = bits_for(lambda snr_db: snr_db / 6.02)
    not yet: the answer is a whole number of bits
    hint: For 60 dB it returns 9.966777408637874. Nobody sells a tenth of a bit: round up.

    Lesson: 01
    """
    got = call(answer, 60.0)
    expect(
        isinstance(got, (int, float, np.number)) and not isinstance(got, bool),
        "the answer is a number",
        hint=f"For 60 dB it returns {show(got)}.",
    )
    expect(
        float(got).is_integer(),
        "the answer is a whole number of bits",
        hint=f"For 60 dB it returns {show(got)}. Nobody sells a tenth of a bit: round up.",
    )
    got = call(answer, 52.0)
    expect(
        got != 8,
        "the wanted ratio is reached",
        hint="For 52 dB it returns 8, which gives 6.02 times 8 and 1.76, 49.9 dB. Round up, not to the "
        "nearest.",
    )
    got = call(answer, 49.5)
    expect(
        got != 9,
        "no bit is wasted",
        hint="For 49.5 dB it returns 9, but 8 bits give 49.9 dB. Take the 1.76 dB off first.",
    )
    for wanted in (3.0, 7.7, 7.9, 20.0, 40.0, 49.5, 55.0, 60.0, 90.0, 98.0, 120.0):
        expected = math.ceil((wanted - 1.76) / 6.02)
        got = call(answer, wanted)
        expect(
            got == expected,
            "it is the smallest number of bits that reaches the ratio",
            hint=f"For {wanted:g} dB it returns {show(got)}. {expected} bits give "
            f"{6.02 * expected + 1.76:.2f} dB, "
            f"{expected - 1} only {6.02 * (expected - 1) + 1.76:.2f} dB.",
        )


@exercise
def count_clipped(answer: Callable[[np.ndarray], int]) -> None:
    """Check a function that counts the samples at full scale.

    Parameters
    ----------
    answer : callable
        ``answer(samples)`` takes float32 samples within [-1, 1] and returns how many of them are as large or
        as small as a sample can be, 1 or -1.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = count_clipped(lambda samples: int((samples == 1).sum()))
    not yet: the troughs are cut as well as the peaks
    hint: Of [0, 1, 1, 0.5, -1] three samples are at full scale; it returns 2. -1 is full scale too.

    Lesson: 01
    """
    small = np.array([0, 1, 1, 0.5, -1], np.float32)
    story = "Of [0, 1, 1, 0.5, -1] three samples are at full scale"
    got = call(answer, small.copy())
    expect(
        isinstance(got, (int, float, np.number)) and not isinstance(got, (bool, np.bool_)),
        "the answer is a number",
        hint=f"{story}; it returns {show(got)}. Count them: sum() of true and false counts the true ones.",
    )
    expect(
        not math.isclose(got, 0.6),
        "the answer is a count",
        hint=f"{story}; it returns 0.6, their share. Do not divide.",
    )
    expect(
        got != 0,
        "full scale itself counts",
        hint=f"{story}; it returns 0. A sample cannot pass 1, so use >=, not >.",
    )
    expect(
        got != 2,
        "the troughs are cut as well as the peaks",
        hint=f"{story}; it returns 2. -1 is full scale too.",
    )
    expect(got == 3, "every sample at full scale counts once", hint=f"{story}; it returns {show(got)}.")
    rng = np.random.default_rng(0)
    for gain in (0.2, 0.5, 1.0, 3.0):
        noise = (gain * rng.standard_normal(2_000)).astype(np.float32)
        clipped, expected = np.clip(noise, -1, 1), int((np.abs(noise) >= 1).sum())
        got = call(answer, clipped)
        expect(
            got == expected,
            "it holds for any recording",
            hint=f"Of 2000 samples {expected} are at full scale; it returns {show(got)}. Only 1 and -1 "
            "count, "
            "wherever they stand.",
        )
