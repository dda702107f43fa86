"""The checks of lesson 4, "Building models"."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from asrlib import models
from asrlib.check.base import call, exercise, expect, show

__all__ = [
    "article_parameters",
    "frames_first",
    "gate_bias",
    "lstm_step",
    "receptive_field",
    "to_order",
]


@exercise
def article_parameters(answer: Callable[[int, int], int]) -> None:
    """Check a function that counts the parameters of the article's network.

    Parameters
    ----------
    answer : callable
        ``answer(n_frames, n_features)`` returns the number of weights and biases: 32 kernels of 3 frames,
        pooling by 2, a dense layer of 128, one of 10.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = article_parameters(lambda frames, n: 3 * n * 32 + (frames - 2) // 2 * 32 * 128 + 1280)
    not yet: every output has a bias
    hint: For 50 frames of 13 numbers there are 101002 parameters; it returns 100832, which is 170 fewer:
    32 + 128 + 10 biases.

    Lesson: 04
    """
    story = "For 50 frames of 13 numbers"
    got = _whole(call(answer, 50, 13), story)
    wanted = _article(50, 13)
    start = f"{story} there are {wanted} parameters; it returns {got}"
    near = {
        wanted - 170: ("every output has a bias", "which is 170 fewer: 32 + 128 + 10 biases."),
        _article(50, 13, pool=1): (
            "pooling halves the steps before the dense layer",
            "which is what it would be without the pooling. Of 48 steps 24 are left.",
        ),
        _article(52, 13): (
            "only whole overlaps of the kernel count",
            "as if the convolution kept all 50 frames. A kernel of 3 fits at 50 - 3 + 1 places.",
        ),
        _article(49, 13): (
            "a kernel of 3 fits at n - 3 + 1 places",
            "which is what 47 places would give. From frame 0 to frame 47 there are 48.",
        ),
        (3 * 13 + 1) * 32: ("all layers count", "the convolution alone. Two dense layers follow."),
        _article(50, 13) - (3 * 13 + 1) * 32 + (3 + 1) * 32: (
            "a kernel reads all numbers of its frames",
            "as if a kernel had 3 weights. It has 3 for each of the 13 numbers of a frame.",
        ),
    }
    for value, (statement, hint) in near.items():
        expect(got != value, statement, hint=f"{start}, {hint}")
    expect(
        got == wanted,
        "it counts what Keras counts",
        hint=f"{start}. Take layer by layer: kernels {(3 * 13 + 1) * 32}, first dense layer "
        f"{(24 * 32 + 1) * 128}, last dense layer {(128 + 1) * 10}.",
    )
    for n_frames, n_features in ((49, 20), (98, 40), (28, 28)):
        got, wanted = (
            _whole(call(answer, n_frames, n_features), f"For {n_frames} frames"),
            _article(n_frames, n_features),
        )
        expect(
            got == wanted,
            "it holds for any input",
            hint=f"For {n_frames} frames of {n_features} numbers there are {wanted} parameters; it returns "
            f"{got}. Use what comes in; a step that fills no pair is left out, so halve with //.",
        )


def _article(n_frames: int, n_features: int, *, pool: int = 2) -> int:
    steps = (n_frames - 2) // pool
    return (3 * n_features + 1) * 32 + (steps * 32 + 1) * 128 + 1290


@exercise
def receptive_field(answer: Callable[[Sequence[tuple[int, int]], float, float], float]) -> None:
    """Check a function that says how much sound a number after some layers depends on.

    Parameters
    ----------
    answer : callable
        ``answer(layers, hop, window)`` takes pairs (length in time, by how much time is shortened), the
        seconds from frame to frame and the seconds of a frame, and returns seconds.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = receptive_field(lambda layers, hop, window: hop * (1 + sum(k - 1 for k, s in layers)))
    not yet: a frame is as long as its window
    hint: With no layer at all a number has heard one frame, 0.025 s; it returns 0.01. From the first
    frame's beginning to the last one's end it is (r - 1) hops and one window.

    Lesson: 04
    """
    got = _number(call(answer, [], 0.010, 0.025), "With no layer")
    expect(
        math.isclose(got, 0.025, abs_tol=1e-9),
        "a frame is as long as its window",
        hint=f"With no layer at all a number has heard one frame, 0.025 s; it returns {got:.4g}. From the "
        "first frame's beginning to the last one's end it is (r - 1) hops and one window.",
    )
    got = _number(call(answer, [(3, 1)], 0.010, 0.025), "For one convolution of 3")
    expect(
        math.isclose(got, 0.045, abs_tol=1e-9),
        "a convolution of 3 reaches over 3 frames",
        hint=f"3 frames, one every 0.01 s, each 0.025 s long, last 0.045 s; it returns {got:.4g}. The first "
        "layer adds K - 1 frames to the one.",
    )
    story = [(3, 1), (2, 2), (3, 1)]
    got = _number(call(answer, list(story), 0.010, 0.025), "For a convolution, a pooling, a convolution")
    frames = round((got - 0.025) / 0.010) + 1
    start = f"For {story} it returns {got:.4g} s, which is {frames} frames; 8 are right."
    expect(
        frames != 6,
        "after a pooling, one step is several frames",
        hint=f"{start} The second convolution takes steps of 2 frames: multiply what it adds by the step.",
    )
    expect(
        frames not in (9, 10),
        "a layer counts in the steps that it gets, not in those that it gives",
        hint=f"{start} The pooling itself still takes steps of one frame: first add, then lengthen the step.",
    )
    expect(frames == 8, "the reach grows by (K - 1) steps with each layer", hint=start)
    for layers, hop, window in (
        ([(3, 1), (2, 2), (3, 1), (2, 2), (3, 1), (2, 2)], 0.020, 0.025),
        ([(5, 1), (4, 4), (5, 2), (3, 1)], 0.010, 0.032),
        ([(7, 3)], 0.010, 0.025),
    ):
        reach, step = 1, 1
        for length, shortens in layers:
            reach, step = reach + (length - 1) * step, step * shortens
        wanted = (reach - 1) * hop + window
        got = _number(call(answer, list(layers), hop, window), f"For {layers}")
        expect(
            math.isclose(got, wanted, rel_tol=1e-6),
            "it holds for any layers, hop and window",
            hint=f"For {layers}, a hop of {hop} s and a window of {window} s it should be {wanted:.4g} s; it "
            f"returns {got:.4g}. Steps multiply: each layer lengthens the step by its own factor.",
        )


@exercise
def gate_bias(answer: Callable[[int, float], float]) -> None:
    """Check a function that finds the bias of a gate that keeps a share over many steps.

    Parameters
    ----------
    answer : callable
        ``answer(n_steps, left)`` returns b with ``sigmoid(b) ** n_steps == left``.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = gate_bias(lambda n_steps, left: left ** (1 / n_steps))
    not yet: the answer is the bias, not the gate
    hint: For 10 steps and a half it returns 0.933, which is the gate itself. Which b has that sigmoid?
    Solve z = 1 / (1 + exp(-b)) for b.

    Lesson: 04
    """
    got = _number(call(answer, 10, 0.5), "For 10 steps and a half")
    start = f"For 10 steps and a half it returns {got:.4g}"
    gate = 0.5 ** (1 / 10)
    expect(
        not math.isclose(got, gate, rel_tol=1e-6),
        "the answer is the bias, not the gate",
        hint=f"For 10 steps and a half it returns {got:.3f}, which is the gate itself. Which b has that "
        "sigmoid? Solve z = 1 / (1 + exp(-b)) for b.",
    )
    wanted = math.log(gate / (1 - gate))
    expect(
        not math.isclose(got, -wanted, rel_tol=1e-6),
        "a gate that keeps much has a positive bias",
        hint=f"{start}, the right size with the wrong sign. b = ln(z / (1 - z)), not the other way round.",
    )
    divided = 0.5 / 10
    expect(
        not math.isclose(got, math.log(divided / (1 - divided)), rel_tol=1e-6),
        "shares multiply from step to step",
        hint=f"{start}, as if the gate were 0.5 / 10. Over n steps the share is z to the power of n, so z is "
        "the n-th root.",
    )
    for n_steps, left in ((10, 0.5), (1, 0.5), (50, 0.9), (100, 0.01), (1, 0.1)):
        got = _number(call(answer, n_steps, left), f"For {n_steps} steps")
        kept = (1 / (1 + math.exp(-max(-500.0, got)))) ** n_steps
        expect(
            math.isclose(kept, left, rel_tol=1e-4),
            "after so many steps, that share is left",
            hint=f"With the bias {got:.4g}, {kept:.4g} is left after {n_steps} "
            f"step{'s' if n_steps > 1 else ''}; {left:g} was asked for. First z, the n-th root of the share; "
            "then b = ln(z / (1 - z)).",
        )


@exercise
def lstm_step(answer: Callable[..., tuple[np.ndarray, np.ndarray]]) -> None:
    """Check a function that takes one step of an LSTM.

    Parameters
    ----------
    answer : callable
        ``answer(x, h, c, W, U, b)`` takes rows of n_in, n and n numbers, tables (n_in, 4 n) and (n, 4 n) and
        a row of 4 n, with the gates in Keras' order (input, forget, candidate, output), and returns the new
        h and the new c.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = lstm_step(lambda x, h, c, W, U, b: np.tanh(x @ W + h @ U + b))
    not yet: the answer is a pair, h and c
    hint: It returns an array of shape (12,). End with return h, c.

    Lesson: 04
    """
    rng = np.random.default_rng(0)
    n_in, n = 4, 3
    x, h, c = rng.normal(size=n_in), rng.normal(size=n), rng.normal(size=n)
    W, U, b = (rng.normal(size=shape) for shape in ((n_in, 4 * n), (n, 4 * n), (4 * n,)))

    got = call(answer, *_copies(x, h, c, W, U, b))
    expect(
        isinstance(got, (tuple, list)) and len(got) == 2,
        "the answer is a pair, h and c",
        hint=f"It returns {show(got)}. End with return h, c.",
    )
    got_h, got_c = (np.asarray(part, float) for part in got)
    expect(
        got_h.shape == got_c.shape == (n,),
        "both states keep their length",
        hint=f"For states of {n} numbers it returns {got_h.shape} and {got_c.shape}. Split the {4 * n} sums "
        "into four quarters.",
    )
    new_h, new_c = _lstm(x, h, c, W, U, b)
    expect(
        not (np.allclose(got_h, new_c, atol=1e-5) and np.allclose(got_c, new_h, atol=1e-5)),
        "h comes first",
        hint="The two states are right and the wrong way round: return h, c.",
    )

    closed = np.repeat([-100.0, 100.0, 0.0, 100.0], n)  # nothing in, all kept, all out
    kept = _pair(call(answer, *_copies(x, h, c, np.zeros_like(W), np.zeros_like(U), closed)))
    expect(
        np.allclose(kept[1], c, atol=1e-6),
        "with the input gate shut and the forget gate open, c stays",
        hint=f"The second quarter of the sums is very large, the first very small. Then c should stay "
        f"{c[0]:.3f} and becomes {kept[1][0]:.3f}. Quarters in Keras' order: input, forget, candidate, "
        "output; the forget gate multiplies the old c.",
    )
    expect(
        np.allclose(kept[0], np.tanh(c), atol=1e-6),
        "h is the output gate times tanh of the new c",
        hint=f"With the output gate open, h should be tanh(c) = {np.tanh(c)[0]:.3f}; it is {kept[0][0]:.3f}. "
        "The output gate is the last quarter.",
    )
    opened = np.repeat([100.0, -100.0, 0.7, -100.0], n)  # all in, nothing kept, nothing out
    fresh = _pair(call(answer, *_copies(x, h, c, np.zeros_like(W), np.zeros_like(U), opened)))
    expect(
        np.allclose(fresh[1], np.tanh(0.7), atol=1e-6),
        "with the input gate open and the forget gate shut, c is the candidate",
        hint=f"The third quarter of the sums is 0.7: c should be tanh(0.7) = {np.tanh(0.7):.3f}; it is "
        f"{fresh[1][0]:.3f}. The candidate goes through tanh, the three gates through the sigmoid.",
    )
    expect(
        np.allclose(fresh[0], 0, atol=1e-6),
        "a shut output gate lets nothing out",
        hint=f"The last quarter of the sums is -100: h should be 0; it is {fresh[0][0]:.3f}.",
    )
    alone = _pair(call(answer, *_copies(x, h, c, W, np.zeros_like(U), b)))
    expect(
        np.allclose(alone[1], _lstm(x, h, c, W, 0 * U, b)[1], atol=1e-5),
        "the frame and the bias enter all four sums",
        hint="Without weights from the old state, c is not right. The sums are x @ W + h @ U + b.",
    )
    expect(
        np.allclose(got_c, new_c, atol=1e-5),
        "the old h enters all four sums",
        hint="With weights from the old state, c is not right. The sums are x @ W + h @ U + b.",
    )
    expect(
        np.allclose(got_h, new_h, atol=1e-5),
        "h is made of the new c",
        hint=f"c is right, h should be {new_h[0]:.3f} and is {got_h[0]:.3f}. Take tanh of the new c, not of "
        "the old one.",
    )


def _copies(*arrays: np.ndarray) -> list[np.ndarray]:
    return [np.array(array) for array in arrays]


def _pair(got: Any) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(got[0], float), np.asarray(got[1], float)


def _lstm(x, h, c, W, U, b):
    i, f, g, o = np.split(x @ W + h @ U + b, 4)
    c = c / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
    return np.tanh(c) / (1 + np.exp(-o)), c


@exercise
def frames_first(answer: Callable[[np.ndarray], np.ndarray]) -> None:
    """Check a mended function that turns bands by frames into frames by bands.

    Parameters
    ----------
    answer : callable
        ``answer(bands)`` takes (n_bands, n_frames) and returns (n_frames, n_bands).

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = frames_first(lambda bands: bands.reshape(bands.shape[::-1]))
    not yet: a frame keeps its own bands
    hint: 2 bands of 3 frames: the first frame holds 0 and 10 and comes out as 0 and 1. reshape only cuts
    the same long row of numbers anew. Turn the table over instead.

    Lesson: 04
    """
    table = np.array([[0.0, 1, 2], [10, 11, 12]])
    got = np.asarray(call(answer, table.copy()), float)
    expect(
        got.shape == (3, 2),
        "there is a row for each frame and a column for each band",
        hint=f"2 bands of 3 frames came back with shape {got.shape}.",
    )
    expect(
        not np.array_equal(got, table.T[::-1]) and not np.array_equal(got, table.T[:, ::-1]),
        "time and frequency run as before",
        hint="Frames or bands come back in reverse order: that is a quarter turn. Only exchange the axes.",
    )
    expect(
        np.array_equal(got, table.T),
        "a frame keeps its own bands",
        hint=f"2 bands of 3 frames: the first frame holds 0 and 10 and comes out as {got[0, 0]:.0f} and "
        f"{got[0, 1]:.0f}. reshape only cuts the same long row of numbers anew. Turn the table over instead.",
    )
    some = np.random.default_rng(0).normal(size=(20, 50))
    got = np.asarray(call(answer, some.copy()), float)
    expect(
        np.array_equal(got, some.T),
        "it holds for any picture",
        hint="20 bands of 50 frames do not come back as they should. Use the sizes that come in.",
    )


_INPUT = (50, 20)
_LEAST_SECONDS, _MOST_PARAMETERS, _MOST_MULTIPLY_ADDS = 0.3, 10_000, 600_000


@exercise
def to_order(answer: Callable[[], Any]) -> None:
    """Check a CNN that was chosen to keep three limits, for 50 frames of 20 bands, one every 20 ms.

    Parameters
    ----------
    answer : callable
        ``answer()`` returns a `asrlib.models.CnnConfig` with a receptive field of at least 0.3 s, at most
        10 000 parameters and at most 600 000 multiply-adds for one clip.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = to_order(lambda: models.CnnConfig(channels=(8,), pools=((2, 2),)))
    not yet: it hears at least 0.3 s at once
    hint: Its last convolution has heard 85 ms. Longer kernels, more convolutions, or pooling in time
    before a convolution make it hear more.

    Lesson: 04
    """
    config = call(answer)
    expect(
        isinstance(config, models.CnnConfig),
        "the answer is a CnnConfig",
        hint=f"It returns {show(config)}. Write return models.CnnConfig(channels=..., pools=...).",
    )
    try:
        description = models.describe(config, input_shape=_INPUT, hop_seconds=0.020)
    except ValueError as error:
        expect(False, "it can be built for 50 frames of 20 bands", hint=str(error))
        return
    last = [row for row in description.layers if row.kind in ("Conv2D", "MaxPooling2D")][-1]
    heard = last.receptive_field_seconds or math.inf  # none: the whole clip
    expect(
        heard >= _LEAST_SECONDS,
        "it hears at least 0.3 s at once",
        hint=f"Its last convolution has heard {1000 * heard:.0f} ms. Longer kernels, more convolutions, or "
        "pooling in time before a convolution make it hear more.",
    )
    expect(
        description.parameters <= _MOST_PARAMETERS,
        "it has at most 10 000 parameters",
        hint=f"It has {description.parameters}. Most of them are between the widest channels: have fewer.",
    )
    expect(
        description.multiply_adds <= _MOST_MULTIPLY_ADDS,
        "it takes at most 600 000 multiply-adds",
        hint=f"It takes {description.multiply_adds}. What comes before the first pooling works on the whole "
        "picture: fewer channels there, or pool earlier, in frequency too.",
    )


def _whole(got: Any, story: str) -> int:
    number = _number(got, story)
    expect(
        math.isfinite(number) and number == int(number),
        "the answer is a whole number",
        hint=f"{story} it returns {show(got)}. There are no half weights: divide with //.",
    )
    return int(number)


def _number(got: Any, story: str) -> float:
    one = isinstance(got, (int, float, np.number)) and not isinstance(got, bool)
    expect(one, "the answer is a number", hint=f"{story} it returns {show(got)}.")
    return float(got)
