"""The checks of lesson 2, "Filtering"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy

from asrlib.check.base import call, exercise, expect, show

__all__ = ["highpass", "mix", "output_at", "ratio_after", "remove_hum"]

_RATE = 16_000


@exercise
def output_at(answer: Callable[[int, np.ndarray, np.ndarray], float]) -> None:
    """Check a function that computes one sample of a convolution.

    Parameters
    ----------
    answer : callable
        ``answer(n, x, h)`` returns sample number n of the convolution of x with h: the sum over k of
        ``h[k] * x[n - k]``, with silence before and after x.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = output_at(lambda n, x, h: sum(h[k] * x[n - k] for k in range(len(h))))
    not yet: before the first sample there is silence
    hint: For x = [1, 2, 3], h = [10, 100] and n = 0 it returns 310, not 10. In Python x[-1] is the last
    sample, not the one before the first. Leave out what lies before 0.

    Lesson: 02
    """
    x, h = np.array([1.0, 2.0, 3.0]), np.array([10.0, 100.0])
    story = "For x = [1, 2, 3], h = [10, 100] and n = "
    got = _number(call(answer, 1, x, h), f"{story}1")
    hint = f"{story}1 it returns {got:g}, not 120 = 10 · 2 + 100 · 1. "
    if got == 320:
        hint += "That looks forward: 10 · 2 + 100 · 3. A filter knows the past: x[n - k]."
    elif got == 210:
        hint += "The taps are in the wrong order: h[0] belongs to the newest sample, x[n]."
    else:
        hint += "Add up h[k] * x[n - k] for every k."
    expect(got == 120, "each tap weighs the sample k places back", hint=hint)
    got = _number(call(answer, 0, x, h), f"{story}0")
    wrapped = " In Python x[-1] is the last sample, not the one before the first." if got == 310 else ""
    expect(
        got == 10,
        "before the first sample there is silence",
        hint=f"{story}0 it returns {got:g}, not 10.{wrapped} Leave out what lies before 0.",
    )
    got = _number(call(answer, 3, x, h), f"{story}3")
    expect(
        got == 300,
        "after the last sample the filter rings out",
        hint=f"{story}3 it returns {got:g}, not 300 = 100 · 3. x has ended; the second tap still holds it.",
    )
    rng = np.random.default_rng(0)
    for n_samples, n_taps in ((40, 7), (5, 12), (1, 1)):
        x, h = rng.standard_normal(n_samples), rng.standard_normal(n_taps)
        expected = np.convolve(x, h)
        for n in range(len(expected)):
            got = _number(call(answer, n, x, h), f"With {n_samples} samples, {n_taps} taps and n = {n}")
            expect(
                abs(got - expected[n]) < 1e-9,
                "it holds for any length of x and h",
                hint=f"With {n_samples} samples, {n_taps} taps and n = {n} it returns {got:.3f}, "
                f"and np.convolve says {expected[n]:.3f}.",
            )


@exercise
def mix(answer: Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]) -> None:
    """Check a function that mixes speech and noise at a ratio that holds while somebody speaks.

    Parameters
    ----------
    answer : callable
        ``answer(speech, noise, speaking, snr_db)`` takes three arrays of the same length, the third of bool,
        and a ratio in dB. It returns the speech as it was plus the noise scaled.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = mix(lambda speech, noise, speaking, snr_db: speech + noise)
    not yet: the noise is scaled to the ratio asked for
    hint: Asked for 10 dB it gives a ratio of 14.0 dB. Scale the noise by the square root of the wanted
    power over its own power.

    Lesson: 02
    """
    rng = np.random.default_rng(0)
    speech = 0.1 * rng.standard_normal(8000)
    noise = 0.02 * rng.standard_normal(8000)
    always = np.ones(8000, bool)
    noise *= 0.1 * 10 ** (-14 / 20) / np.sqrt(np.mean(noise**2))
    speech *= 0.1 / np.sqrt(np.mean(speech**2))
    asked = 10.0
    added = _added(call(answer, speech.copy(), noise.copy(), always, asked), speech, noise)
    ratio = _ratio_db(speech, added)
    hint = f"Asked for {asked:g} dB it gives a ratio of {ratio:.1f} dB. "
    usual = _usual_mistakes(speech, noise, asked)
    cause = next((text for value, text in usual if abs(ratio - value) < 0.05), None)
    hint += cause or "Scale the noise by the square root of the wanted power over its own power."
    expect(abs(ratio - asked) < 0.01, "the noise is scaled to the ratio asked for", hint=hint)
    quiet = speech.copy()
    speaking = np.arange(8000) >= 6000
    quiet[~speaking] = 0
    added = _added(call(answer, quiet.copy(), noise.copy(), speaking, asked), quiet, noise)
    ratio = _ratio_db(quiet[speaking], added)
    hint = f"Three quarters of a clip are silent. Asked for {asked:g} dB, while somebody speaks the ratio is "
    hint += f"{ratio:.1f} dB. "
    whole = 10 * np.log10(1 / np.mean(speaking))
    if abs(ratio - asked - whole) < 0.2:
        hint += "The silence was counted: take the mean power of speech[speaking] only."
    else:
        hint += "Take the power of speech[speaking], and that of the noise over its whole length."
    expect(abs(ratio - asked) < 0.01, "the ratio holds while somebody speaks", hint=hint)
    for asked in (-20.0, 0.0, 35.0):
        added = _added(call(answer, quiet.copy(), noise.copy(), speaking, asked), quiet, noise)
        ratio = _ratio_db(quiet[speaking], added)
        expect(
            abs(ratio - asked) < 0.01,
            "it holds for any ratio",
            hint=f"Asked for {asked:g} dB it gives {ratio:.1f} dB.",
        )


def _usual_mistakes(speech: np.ndarray, noise: np.ndarray, asked: float) -> list[tuple[float, str]]:
    """List the ratios that usual mistakes lead to, with what to say."""
    now = _ratio_db(speech, noise)
    return [
        (2 * asked - now, "The gain is a ratio of powers. Amplitudes go with its square root."),
        (now + (asked - now) / 2, "The square root was taken twice, or decibels divided by 20 as powers."),
        (
            asked - 10 * float(np.log10(np.mean(noise**2))),
            "The noise's own power was left out: bring it to power 1 first.",
        ),
        (2 * now - asked, "The gain is upside down: a higher ratio means less noise."),
        (-asked, "The sign is wrong: a higher ratio means less noise."),
    ]


def _added(got: Any, speech: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return what was added to the speech; expect that it is the noise and nothing else."""
    got = _row(got, len(speech), "Speech and noise")
    added = got - speech
    expect(
        np.any(np.abs(added) > 1e-12),
        "noise is added",
        hint="The speech comes back alone. Return the speech plus the scaled noise.",
    )
    likeness = abs(float(added @ noise)) / np.sqrt(float(added @ added) * float(noise @ noise))
    expect(
        likeness > 0.9999,
        "the speech keeps its level",
        hint="What was added to the speech is not the noise times one number. Scale the noise, leave the "
        "speech, and add the two.",
    )
    return added


def _ratio_db(speech: np.ndarray, noise: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(speech**2) / np.mean(noise**2)))


@exercise
def highpass(answer: Callable[[np.ndarray], np.ndarray]) -> None:
    """Check a function that turns the taps of a symmetric low-pass into those of a high-pass.

    Parameters
    ----------
    answer : callable
        ``answer(lowpass_taps)`` takes an odd number of symmetric taps and returns as many: those of the
        filter that keeps what the low-pass removes.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = highpass(lambda taps: 1 - taps)
    not yet: low frequencies are removed
    hint: At 0 Hz its gain is 100.0. 1 - taps takes every tap from 1; but "everything" is a single 1 with
    zeros around it, the filter that changes nothing.

    Lesson: 02
    """
    for cutoff, n_taps in ((1000.0, 101), (3000.0, 31), (500.0, 401)):
        low = scipy.signal.firwin(n_taps, cutoff, fs=_RATE)
        high = _row(call(answer, low.copy()), n_taps, f"A low-pass of {n_taps} taps")
        at_zero, at_top = abs(float(high.sum())), abs(float(high @ (-1.0) ** np.arange(n_taps)))
        expect(
            not np.allclose(high, low) and not np.allclose(high, -low),
            "the answer is another filter than the low-pass",
            hint="The low-pass comes back, or its mirror image, which only turns the wave upside down. "
            "Take it away from a filter that changes nothing.",
        )
        hint = f"At 0 Hz its gain is {at_zero:.1f}. "
        if np.allclose(high, 1 - low):
            hint += (
                '1 - taps takes every tap from 1; but "everything" is a single 1 with zeros around it, the '
                "filter that changes nothing."
            )
        else:
            hint += "The taps of a high-pass add up to zero."
        expect(at_zero < 0.02, "low frequencies are removed", hint=hint)
        late = np.zeros(n_taps)
        late[n_taps // 2] = 1
        misplaced = int(np.argmax(np.abs(high + low)))
        hint = f"At half the sample rate its gain is {at_top:.2f}. "
        passes = _gains(high, np.linspace(min(2.5 * cutoff + 800, 7000), 7900, 20))
        if np.allclose(np.abs(high + low).sum(), 1, atol=1e-6) and misplaced != n_taps // 2:
            hint += (
                f'"Everything" stands at tap {misplaced}, and the low-pass is {n_taps // 2} samples late: '
                "the two do not meet. Put the 1 into the middle."
            )
        elif np.allclose(high, low * (-1.0) ** np.arange(n_taps)):
            hint += (
                "Changing every second sign moves the cut-off to half the sample rate minus what it was; "
                "that is another high-pass. Take the low-pass away from everything."
            )
        else:
            hint += "Take the low-pass away from a click that is as late as it: (n_taps - 1) / 2 samples."
        expect(
            np.all(np.abs(passes - 1) < 0.02) and np.allclose(high, late - low, atol=1e-3),
            "high frequencies are kept, with the same cut-off",
            hint=hint,
        )


def _gains(taps: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    return np.abs(np.exp(-2j * np.pi * np.outer(frequencies, np.arange(len(taps))) / _RATE) @ taps)


@exercise
def remove_hum(answer: Callable[[np.ndarray, float], np.ndarray]) -> None:
    """Check a function that takes out the hum of the mains and its first two multiples.

    Parameters
    ----------
    answer : callable
        ``answer(samples, mains_hz)`` takes samples at 16 000 Hz and the frequency of the mains in Hz; it
        returns as many samples.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = remove_hum(lambda samples, mains_hz: samples)
    not yet: the hum itself is removed
    hint: With mains of 50 Hz the partial at 50 Hz comes out only 0.0 dB down, half a second after the
    beginning. Put a notch there.

    Lesson: 02
    """
    for mains in (50.0, 60.0):
        for multiple in (1, 2, 3):
            change = _change_db(answer, multiple * mains, mains, seconds=1.0)
            name = "the hum itself is" if multiple == 1 else "the multiples of the hum are"
            if multiple == 1 and mains == 60:
                cure = "Use the frequency that comes in, not a fixed one."
            elif -20 < change < -3:
                cure = "The notch is there, but it takes longer to act: lower q."
            else:
                cure = "Put a notch there." if multiple == 1 else "Put one notch at each multiple."
            expect(
                change < -20,
                f"{name} removed",
                hint=f"With mains of {mains:g} Hz the partial at {multiple * mains:g} Hz comes out only "
                f"{max(0.0, -change):.1f} dB down, half a second after the beginning. {cure}",
            )
        for voice in (1.5 * mains, 2.5 * mains, 1000.0):
            change = _change_db(answer, voice, mains, seconds=2.0)
            if voice < 1000:
                cure = "The notches are too wide: raise q, the more the higher the multiple."
            else:
                cure = "Notches leave it alone; a low-pass or a change of level does not."
            if change < -10 and _change_db(answer, 0.4 * mains, mains, seconds=2.0) < -20:
                cure = "A high-pass takes out the hum and the voice above it. Use notches."
            expect(
                abs(change) < 1,
                "the voice between and above them stays",
                hint=f"With mains of {mains:g} Hz a tone of {voice:g} Hz changes by {change:.1f} dB. {cure}",
            )


def _change_db(answer: Callable[..., Any], hertz: float, mains: float, *, seconds: float) -> float:
    """Send a tone through the learner's function; return by how many dB its last half differs."""
    time = np.arange(round(seconds * _RATE)) / _RATE
    tone = (0.3 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)
    got = _row(call(answer, tone.copy(), mains), len(tone), f"A tone of {seconds:g} s")
    half = slice(len(tone) // 2, None)
    return float(10 * np.log10(max(np.mean(got[half] ** 2), 1e-20) / np.mean(tone[half] ** 2)))


@exercise
def ratio_after(answer: Callable[[np.ndarray, np.ndarray, np.ndarray], float]) -> None:
    """Check a function that measures the signal-to-noise ratio after an FIR filter.

    Parameters
    ----------
    answer : callable
        ``answer(clean, noisy, taps)`` filters the noisy sound with symmetric taps, an odd number of them, and
        returns the ratio in dB of the clean sound's power to that of what differs from it.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> def late(clean, noisy, taps):
    ...     wrong = np.convolve(noisy, taps)[: len(clean)] - clean
    ...     return 10 * np.log10(np.sum(clean**2) / np.sum(wrong**2))
    >>> outcome = ratio_after(late)
    not yet: a filter that only delays changes nothing
    hint: Noise at 20 dB, and a filter that lets everything through 10 samples late: it returns -3.0 dB,
    not 20.0. What comes out late must be compared late: skip as many samples as the filter delays, half
    its length.

    Lesson: 02
    """
    rng = np.random.default_rng(0)
    clean, noise = rng.standard_normal((2, 4000)) * 0.1
    noise *= np.sqrt(np.sum(clean**2) / np.sum(noise**2)) / 10
    noisy = clean + noise
    story = "Noise at 20 dB, and a filter that lets everything through"
    got = _number(call(answer, clean.copy(), noisy.copy(), np.ones(1)), f"{story} at once")
    expect(
        abs(got - 20) < 0.01,
        "without a filter it is the ratio of the two sounds",
        hint=f"{story} at once: it returns {got:.1f} dB, not 20.0.",
    )
    for half in (10, 3, 50):
        delay = np.zeros(2 * half + 1)
        delay[half] = 1
        got = _number(call(answer, clean.copy(), noisy.copy(), delay), f"{story} {half} samples late")
        hint = f"{story} {half} samples late: it returns {got:.1f} dB, not 20.0. "
        if abs(got - _ratio_with_delay(clean, noisy, delay, skip=2 * half)) < 1e-6:
            hint += "Too many are skipped: the middle tap, not the last one, says how late the filter is."
        elif half != 10 and abs(got - _ratio_with_delay(clean, noisy, delay, skip=10)) < 1e-6:
            hint += "How many samples to skip depends on the number of taps."
        else:
            hint += (
                "What comes out late must be compared late: skip as many samples as the filter delays, "
                "half its length."
            )
        # A few samples at an end may be lost, and with them a little of the ratio.
        expect(abs(got - 20) < 0.5, "a filter that only delays changes nothing", hint=hint)
    low = scipy.signal.firwin(101, 2000, fs=_RATE)
    speech = np.convolve(rng.standard_normal(4000), scipy.signal.firwin(101, 1000, fs=_RATE), "same") * 0.2
    hiss = 0.1 * rng.standard_normal(4000)
    expected = _ratio_with_delay(speech, speech + hiss, low, skip=50)
    got = _number(call(answer, speech.copy(), speech + hiss, low), "A low-pass against white noise")
    expect(
        abs(got - expected) < 1,
        "the noise that a filter removes is counted as gained",
        hint=f"A low-pass at 2000 Hz on white noise should leave {expected:.1f} dB; it returns {got:.1f}. "
        "Filter the noisy sound, and compare with the clean one.",
    )


def _ratio_with_delay(clean: np.ndarray, noisy: np.ndarray, taps: np.ndarray, *, skip: int) -> float:
    filtered = np.pad(np.convolve(noisy, taps), (0, len(taps)))[skip : skip + len(clean)]
    wrong = filtered - clean
    return float(10 * np.log10(np.sum(clean**2) / np.sum(wrong**2)))


def _row(got: Any, n_samples: int, story: str) -> np.ndarray:
    """Expect one row of numbers of a given length."""
    got = np.asarray(got)
    expect(
        got.ndim == 1 and np.issubdtype(got.dtype, np.number) and len(got) == n_samples,
        "the answer is as long as what went in",
        hint=f"{story}: {n_samples} samples went in, and {show(got)} came out.",
    )
    got = got.astype(float)
    expect(
        np.isfinite(got).all(),
        "all samples are numbers",
        hint=f"{story}: infinite values or NaN came out. Look for a division by zero, or a filter that "
        "explodes.",
    )
    return got


def _number(got: Any, story: str) -> float:
    """Expect one number."""
    one = np.ndim(got) == 0 and isinstance(got, (int, float, np.number)) and not isinstance(got, bool)
    expect(one, "the answer is a number", hint=f"{story} it returns {show(got)}. Return one number.")
    return float(got)
