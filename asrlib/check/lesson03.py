"""The checks of lesson 3, "From waveform to MFCC"."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from asrlib.check.base import call, exercise, expect, show

__all__ = ["change_of_c0", "corners", "count_frames", "delta", "explorer", "log_bands"]


@exercise
def count_frames(answer: Callable[[int, float, float, int], int]) -> None:
    """Check a function that counts the whole frames of a sound.

    Parameters
    ----------
    answer : callable
        ``answer(n_samples, window_seconds, hop_seconds, sample_rate)`` returns how many whole frames there
        are; 0 when the sound is shorter than one window.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = count_frames(lambda n, window, hop, rate: n // round(hop * rate))
    not yet: only whole frames count
    hint: A second has 98 whole frames of 25 ms, one every 10 ms; it returns 100. The last frame must end
    within the sound: subtract the window before you divide by the hop, then add 1.

    Lesson: 03
    """
    second = "A second has 98 whole frames of 25 ms, one every 10 ms"
    got = _whole(call(answer, 16_000, 0.025, 0.010, 16_000), second)
    expect(
        got != 40,
        "frames overlap",
        hint=f"{second}; it returns 40, as many as fit side by side. A new one begins after each hop, not "
        "after each window.",
    )
    expect(
        got != 97,
        "the first frame counts too",
        hint=f"{second}; it returns 97, the number of hops between them. Add 1.",
    )
    expect(
        got == 98,
        "only whole frames count",
        hint=f"{second}; it returns {got}. The last frame must end within the sound: subtract the window "
        "before you divide by the hop, then add 1.",
    )
    got = _whole(call(answer, 100, 0.025, 0.010, 16_000), "A sound shorter than one window")
    expect(
        got == 0,
        "a sound shorter than one window has no frame",
        hint=f"100 samples are less than 25 ms; it returns {got}. Take the greater of that and 0.",
    )
    rng = np.random.default_rng(0)
    for rate in (8_000, 16_000, 44_100):
        n, window, hop = (
            int(rng.integers(1000, 90_000)),
            0.001 * rng.integers(5, 60),
            0.001 * rng.integers(2, 25),
        )
        expected = max(0, 1 + (n - round(window * rate)) // round(hop * rate))
        got = _whole(call(answer, n, float(window), float(hop), rate), f"{n} samples at {rate} Hz")
        expect(
            got == expected,
            "it holds for any window, hop and sample rate",
            hint=f"{n} samples at {rate} Hz, windows of {1000 * window:.0f} ms, one every "
            f"{1000 * hop:.0f} ms: {expected} frames; it returns {got}. Turn seconds into samples with the "
            "rate that comes in, and round.",
        )


def _whole(got: Any, story: str) -> int:
    one = isinstance(got, (int, float, np.number)) and not isinstance(got, bool) and math.isfinite(got)
    expect(
        one and got == int(got),
        "the answer is a whole number",
        hint=f"{story}: it returns {show(got)}. Half a frame does not exist: divide with //.",
    )
    return int(got)


@exercise
def corners(answer: Callable[[int, float, float], np.ndarray]) -> None:
    """Check a function that places the corners of mel bands on the HTK scale.

    Parameters
    ----------
    answer : callable
        ``answer(n_bands, f_min, f_max)`` returns ``n_bands + 2`` frequencies in Hz.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = corners(lambda n_bands, low, high: np.linspace(low, high, n_bands + 2))
    not yet: the corners lie at equal steps in mel
    hint: From 0 to 8000 Hz, 8 bands, the steps between the corners are all about 889 Hz. That is the
    scale of Hz; turn both ends into mel, divide there, and turn back.

    Lesson: 03
    """
    got = np.asarray(call(answer, 8, 0.0, 8000.0), float)
    expect(
        got.ndim == 1,
        "the answer is one row of frequencies",
        hint=f"It returns {show(got)}; expected an array of shape (10,).",
    )
    expect(
        len(got) == 10,
        "each triangle has its own peak and reaches to its neighbours' peaks",
        hint=f"8 triangles came with {len(got)} corners. Each has three; neighbours share them. The first "
        "needs one more at its left and the last one more at its right.",
    )
    expect(
        np.all(np.diff(got) > 0),
        "the corners rise",
        hint=f"They begin with {got[0]:.4g}, {got[1]:.4g}, {got[2]:.4g}. Start at f_min.",
    )
    steps = np.diff(got)
    expect(
        steps.max() / steps.min() > 1.01,
        "the corners lie at equal steps in mel",
        hint="From 0 to 8000 Hz, 8 bands, the steps between the corners are all about "
        f"{steps.mean():.0f} Hz. That is the scale of Hz; turn both ends into mel, divide there, "
        "and turn back.",
    )
    expect(
        abs(got[-1] - 2840.02) > 1,
        "the corners are in Hz",
        hint="The last corner is 2840, which is 8000 Hz in mel. Turn the mels back into Hz at the end.",
    )
    expect(
        abs(got[0]) < 1e-3 and abs(got[-1] - 8000) < 1e-2,
        "the first corner is f_min and the last is f_max",
        hint=f"For 0 to 8000 Hz they are {got[0]:.4g} and {got[-1]:.4g} Hz. Include both ends.",
    )
    for n_bands, low, high in ((8, 0.0, 8000.0), (23, 20.0, 7600.0), (40, 133.0, 4000.0)):
        got = np.asarray(call(answer, n_bands, low, high), float)
        ends = 2595 * np.log10(1 + np.array([low, high]) / 700)
        wanted = 700 * (10 ** (np.linspace(*ends, n_bands + 2) / 2595) - 1)
        expect(
            got.shape == wanted.shape and np.allclose(got, wanted, rtol=1e-3, atol=0.01),
            "the scale is HTK's",
            hint=f"For {n_bands} bands from {low:g} to {high:g} Hz the middle corner should be "
            f"{wanted[len(wanted) // 2]:.1f} Hz; it is {got[min(len(got) - 1, len(wanted) // 2)]:.1f}. HTK: "
            "m = 2595 log10(1 + f / 700). There log10 is the logarithm to base 10, and Slaney's is another "
            "scale.",
        )


@exercise
def change_of_c0(answer: Callable[[float, int], float]) -> None:
    """Check a function that says what a gain does to the first cepstral coefficient.

    Parameters
    ----------
    answer : callable
        ``answer(gain, n_bands)`` returns what is added to c[0], with the natural logarithm of the power and
        the orthonormal cosine transform.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = change_of_c0(lambda gain, n_bands: np.log(gain) * np.sqrt(n_bands))
    not yet: power goes with the square of the amplitude
    hint: For a gain of 2 and 40 bands it returns 4.384, half of what it should. Samples times 2 are
    power times 4.

    Lesson: 03
    """
    got = _number(call(answer, 1.0, 40), "For a gain of 1")
    expect(
        abs(got) < 1e-6,
        "a gain of 1 changes nothing",
        hint=f"For a gain of 1 it returns {got:.4g}. What is added is a logarithm of the gain: ln 1 is 0.",
    )
    wanted = 2 * math.log(2) * math.sqrt(40)
    got = _number(call(answer, 2.0, 40), "For a gain of 2 and 40 bands")
    start = f"For a gain of 2 and 40 bands it returns {got:.4g}"
    near = {
        wanted / 2: (
            "power goes with the square of the amplitude",
            "half of what it should. Samples times 2 are power times 4.",
        ),
        wanted / math.sqrt(40): (
            "c[0] adds up all bands",
            "the change of one band. c[0] is the sum over all of them, times the root of 1/B.",
        ),
        wanted * math.sqrt(40): (
            "the cosine of c[0] has length 1",
            "the sum over all bands. The transform multiplies it by the root of 1/B.",
        ),
        2 * math.log10(2) * math.sqrt(40): (
            "the logarithm is the natural one",
            "the right thing with base 10. Use np.log.",
        ),
        20 * math.log10(2) * math.sqrt(40): (
            "the logarithm is the natural one",
            "the right thing in decibels. Use np.log of the power.",
        ),
    }
    for value, (statement, hint) in near.items():
        expect(not math.isclose(got, value, rel_tol=1e-3), statement, hint=f"{start}, {hint}")
    for gain, n_bands in ((2.0, 40), (0.5, 40), (10.0, 23), (0.01, 80)):
        wanted = 2 * math.log(gain) * math.sqrt(n_bands)
        got = _number(call(answer, gain, n_bands), f"For a gain of {gain:g} and {n_bands} bands")
        expect(
            math.isclose(got, wanted, rel_tol=1e-3),
            "it is what the chain of stages does",
            hint=f"For a gain of {gain:g} and {n_bands} bands c[0] changes by {wanted:.4g}; it returns "
            f"{got:.4g}. Samples times g are power times g squared, so each logarithm gains 2 ln g; add up B "
            "of these and multiply by the root of 1/B.",
        )


def _number(got: Any, story: str) -> float:
    expect(
        isinstance(got, (int, float, np.number)) and not isinstance(got, bool),
        "the answer is a number",
        hint=f"{story} it returns {show(got)}.",
    )
    return float(got)


@exercise
def delta(answer: Callable[[np.ndarray, int], np.ndarray]) -> None:
    """Check a function that gives the slope of each coefficient in each frame, with the ends repeated.

    Parameters
    ----------
    answer : callable
        ``answer(cepstra, reach)`` takes (n_frames, n_coefficients) and returns the same shape: the slope of
        the best line through ``2 * reach + 1`` frames.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = delta(lambda cepstra, reach: np.gradient(cepstra, axis=1))
    not yet: slopes run along time
    hint: Every coefficient grew by 2 per frame; in the middle the slopes should be 2 and are 0. Frames
    are rows: look at rows before and after, not at columns beside.

    Lesson: 03
    """
    line = 2.0 * np.arange(20.0)[:, None] + np.zeros(3)
    got = np.asarray(call(answer, line.copy(), 4), float)
    expect(
        got.shape == line.shape,
        "there is a slope for every frame and every coefficient",
        hint=f"20 frames of 3 coefficients came back with shape {got.shape}. Repeat the first and the last "
        "frame, reach times each, before you start.",
    )
    middle = got[8:12]
    expect(
        not np.allclose(middle, 0),
        "slopes run along time",
        hint="Every coefficient grew by 2 per frame; in the middle the slopes should be 2 and are 0. Frames "
        "are rows: look at rows before and after, not at columns beside.",
    )
    expect(
        not np.allclose(middle, -2),
        "a rising coefficient has a positive slope",
        hint="Every coefficient grew by 2 per frame; the slopes are -2. Later frames count positive.",
    )
    expect(
        not np.allclose(middle, 2 * 60),
        "the sum is divided by the sum of the squares",
        hint="Every coefficient grew by 2 per frame; the slopes are 120. Divide by the sum of k squared.",
    )
    expect(
        not np.allclose(middle, 4),
        "both sides count in the sum of the squares",
        hint="Every coefficient grew by 2 per frame; the slopes are 4, twice as much. k runs from -reach to "
        "reach: its squares add up on both sides.",
    )
    expect(
        np.allclose(middle, 2),
        "a straight line has its own slope",
        hint=f"Every coefficient grew by 2 per frame; in the middle the slopes are {middle[0, 0]:.4g}.",
    )
    rng = np.random.default_rng(0)
    for reach, n_frames in ((4, 20), (1, 7), (2, 3)):
        cepstra = rng.normal(size=(n_frames, 5))
        padded = np.pad(cepstra, [(reach, reach), (0, 0)], mode="edge")
        k = np.arange(-reach, reach + 1)
        wanted = np.stack([k @ padded[m : m + len(k)] for m in range(n_frames)]) / np.sum(k**2)
        got = np.asarray(call(answer, cepstra.copy(), reach), float)
        expect(
            got.shape == wanted.shape and np.allclose(got[reach:-reach], wanted[reach:-reach], atol=1e-5),
            "it is the line that fits best",
            hint=f"For {n_frames} frames of noise and a reach of {reach}, frames in the middle do not agree. "
            "Weigh each frame by its distance k, and use the reach that comes in.",
        )
        expect(
            np.allclose(got, wanted, atol=1e-5),
            "beyond the ends the first and the last frame are repeated",
            hint=f"The middle is right. At the ends frame 0 should have {wanted[0, 0]:.4g} and has "
            f"{got[0, 0]:.4g}. Not zeros, not fewer frames: np.pad with mode='edge', along time only.",
        )


@exercise
def log_bands(answer: Callable[[np.ndarray, np.ndarray, float], np.ndarray]) -> None:
    """Check a mended function that gives the logarithm of the power in each band.

    Parameters
    ----------
    answer : callable
        ``answer(power, weights, floor)`` takes (n_frames, n_bins) and (n_bands, n_bins) and returns
        (n_frames, n_bands); a band with less than the floor counts as the floor.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = log_bands(lambda power, weights, floor: np.log(np.maximum(power, floor)) @ weights.T)
    not yet: twice the power adds ln 2 to every band
    hint: With twice the power the bands grow by 0.693 to 2.079, not all by 0.693. The logarithm of a sum
    is not the sum of the logarithms: first add up the power of a band, then take its logarithm.

    Lesson: 03
    """
    weights = np.array([[1.0, 0, 0, 0, 0, 0], [0, 0.5, 1, 0.5, 0, 0], [0, 0, 0, 1, 1, 1]])
    power = np.array([[4.0, 1, 2, 3, 8, 1], [0.5, 6, 1, 1, 2, 9]])
    floor = 1e-10
    got = np.asarray(call(answer, power.copy(), weights.copy(), floor), float)
    expect(
        got.shape == (2, 3),
        "there is a row for each frame and a column for each band",
        hint=f"2 frames and 3 bands came back with shape {got.shape}. Multiply frames by the turned weights.",
    )
    twice = np.asarray(call(answer, 2 * power, weights.copy(), floor), float) - got
    expect(
        np.allclose(twice, math.log(2), atol=1e-6),
        "twice the power adds ln 2 to every band",
        hint=f"With twice the power the bands grow by {twice.min():.3f} to {twice.max():.3f}, not all by "
        "0.693. The logarithm of a sum is not the sum of the logarithms: first add up the power of a band, "
        "then take its logarithm.",
    )
    expect(
        np.allclose(got, np.log(power @ weights.T), atol=1e-6),
        "a band is the weighted sum of its bins' power",
        hint=f"The first band is the first bin, of power 4, and ln 4 is 1.386; it is {got[0, 0]:.4g}.",
    )
    silent = np.asarray(call(answer, np.zeros((1, 6)), weights.copy(), floor), float)
    expect(
        np.isfinite(silent).all(),
        "silence has a logarithm",
        hint="For power 0 a band is not finite. Take the greater of the band's power and the floor first.",
    )
    expect(
        np.allclose(silent, math.log(floor), atol=1e-6),
        "a silent band lies on the floor",
        hint=f"For power 0 and a floor of 1e-10 the bands are {silent[0, 1]:.4g}; ln 1e-10 is "
        f"{math.log(floor):.4g}. Apply the floor to the band, after the weights.",
    )
    faint = np.full((1, 6), 4e-11)
    got = np.asarray(call(answer, faint, weights.copy(), floor), float)
    expect(
        np.allclose(got, np.log(np.maximum(faint @ weights.T, floor)), atol=1e-6),
        "the floor is for the bands, not for the bins",
        hint="Three faint bins, each below the floor, are together above it; their band should be "
        f"{math.log(1.2e-10):.4g} and is {got[0, 2]:.4g}. Sum first, then compare with the floor.",
    )


@exercise
def explorer(answer: type) -> None:
    """Check an explorer that a learner wrote: any subclass of `Explorer` whose picture follows its controls.

    Parameters
    ----------
    answer : type
        The class itself. It is made without arguments.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = explorer(lambda: None)
    not yet: the answer is a class made from Explorer
    hint: Pass the class itself, which begins with class TwoTones(Explorer); a function came.

    Lesson: 03
    """
    base = _base(answer)
    expect(
        base is not None,
        "the answer is a class made from Explorer",
        hint=f"Pass the class itself, which begins with class TwoTones(Explorer); {_kind(answer)} came.",
    )
    _expect_written(answer, base)
    controls = call(_method("controls", lambda: _bare(answer, base).controls()))
    expect(
        isinstance(controls, dict) and controls,
        "controls gives a dict of name to control",
        hint=f"It returns {show(controls)}. Write return {{'apart': slider(...)}}.",
    )
    for name, control in controls.items():
        label = getattr(control, "description", "")
        expect(
            hasattr(control, "value"),
            "every control is a slider, a list of steps or a choice",
            hint=f"{name!r} is {_kind(control)}. Make it with slider(...).",
        )
        number = isinstance(control.value, (int, float)) and not isinstance(control.value, bool)
        expect(
            not number or "(" in label,
            "every number has its unit beside it",
            hint=f"The control {name!r} is labelled {label!r}. Give slider its unit, such as unit='Hz'.",
        )
    made = call(_method("making it", answer))
    _expect_pure(made)
    _expect_it_follows(made)


def _expect_written(answer: type, base: type) -> None:
    missing = [
        name
        for name in ("controls", "compute", "build", "draw")
        if getattr(answer, name) is getattr(base, name)
    ]
    expect(
        not missing,
        "it has controls, compute, build and draw",
        hint=f"Still to write: {', '.join(missing)}. The example in help(Explorer) has all four.",
    )


def _expect_pure(made: Any) -> None:
    """Expect results that depend on the values alone, and on them indeed."""
    values = made.values
    first = call(_method("compute", lambda: made.compute(**values)))
    again = call(_method("compute", lambda: made.compute(**values)))
    expect(
        _same(first, again) is not False,
        "compute gives the same result for the same values",
        hint="Two calls with the same values differ. Nothing but its parameters may enter it: no counter, no "
        "random numbers without a seed.",
    )
    for name in values:
        other = _moved(made.inputs[name])
        if other == values[name]:  # a list with one entry
            continue
        changed = call(
            _method("compute", lambda name=name, other=other: made.compute(**{**values, name: other}))
        )
        expect(
            _same(first, changed) is not True,
            "compute uses every control",
            hint=f"With {name}={show(values[name])} and with {name}={show(other)} the result is the same.",
        )


def _expect_it_follows(made: Any) -> None:
    """Expect another picture for other values, and the first one again for the first values."""
    values = made.values
    others = {name: _moved(made.inputs[name]) for name in values}
    name = next((name for name in values if others[name] != values[name]), None)
    expect(name is not None, "there is something to turn", hint="No control has a second value.")
    other = others[name]
    before = call(_method("the picture", lambda: made.still()))
    moved = call(_method("the picture", lambda: made.still(**{name: other})))
    expect(
        moved.png != before.png,
        "the picture follows the control",
        hint=f"With {name}={show(values[name])} and with {name}={show(other)} the picture is the same. draw "
        "must give the artist the new result, as in self.line.set_ydata(result), and build must return that "
        "artist in a list.",
    )
    back = call(_method("the picture", lambda: made.still()))
    expect(
        back.png == before.png,
        "the picture shows the result and nothing of the past",
        hint="Moved there and back, the picture is not what it was. draw must move the artist that build "
        "made; plotting anew leaves the old curves behind.",
    )


def _method(name: str, action: Callable[[], Any]) -> Callable[[], Any]:
    """Give the action a name that a hint can call it by."""

    def tried() -> Any:
        try:
            return action()
        except Exception as error:
            raise RuntimeError(f"in {name}: {type(error).__name__}: {error}") from error

    return tried


def _base(answer: Any) -> type | None:
    """Find `Explorer` among the classes that an answer is made from; checks import no widgets themselves."""
    for each in getattr(answer, "__mro__", ()):
        if (each.__module__, each.__qualname__) == ("asrlib.widgets.explorer", "Explorer"):
            return each
    return None


def _bare(answer: type, base: type) -> Any:
    """Give an instance on which controls can be tried before anything builds on them."""
    return answer() if answer.__init__ is not base.__init__ else answer.__new__(answer)


def _kind(value: Any) -> str:
    return "a function" if callable(value) and not isinstance(value, type) else show(value)


def _moved(control: Any) -> Any:
    """Give another value that the control can take."""
    options = getattr(control, "options", None)
    if options is not None:
        values = [each[1] if isinstance(each, tuple) else each for each in options]
        return next((value for value in values if value != control.value), control.value)
    if isinstance(control.value, bool):
        return not control.value
    middle = (control.min + control.max) / 2
    return control.max if control.value <= middle else control.min


def _same(first: Any, second: Any) -> bool | None:
    """Say whether two results are equal; None when that cannot be told from outside."""
    if isinstance(first, (tuple, list)) and isinstance(second, (tuple, list)):
        parts = [_same(*pair) for pair in zip(first, second, strict=False)]
        return False if len(first) != len(second) or False in parts else None if None in parts else True
    try:
        return bool(np.array_equal(np.asarray(first, float), np.asarray(second, float)))
    except (TypeError, ValueError):
        return None
