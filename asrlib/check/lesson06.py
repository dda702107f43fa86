"""The checks of lesson 6, "Training"."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from asrlib.check.base import call, exercise, expect, show

__all__ = ["batches", "learning_rate", "prepared", "snapshot", "stop_early", "surprise"]


@exercise
def batches(answer: Callable[[int, int, np.random.Generator], Sequence[np.ndarray]]) -> None:
    """Check a function that deals the clips of one epoch out in batches.

    Parameters
    ----------
    answer : callable
        ``answer(n_clips, batch_size, rng)`` returns a list of arrays of clip numbers: every clip once, in an
        order that `rng` draws; the last batch has what is left.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = batches(lambda n, size, rng: np.split(np.arange(n), range(size, n, size)))
    not yet: the order is drawn anew in every epoch
    hint: Clips 0, 1, 2, ... come in their own order, and so does one word after the other. Draw the
    order with rng.permutation.

    Lesson: 06
    """
    dealt = _dealt(answer, 100, 30, 0)
    clips = np.concatenate(dealt) if dealt else np.array([], int)
    expect(
        len(clips) != 90,
        "the last clips are not left out",
        hint="Of 100 clips in batches of 30, ten never come: there should be a fourth, smaller batch.",
    )
    twice = len(clips) - len(np.unique(clips))
    expect(
        len(clips) == 100 and not twice,
        "every clip comes once in an epoch",
        hint=f"Of 100 clips {len(np.unique(clips))} came, {twice} times one came again. Do not draw clip "
        "after "
        "clip: draw an order of all of them, and cut it.",
    )
    expect(
        clips.min() == 0 and clips.max() == 99,
        "clips are counted from 0",
        hint=f"The clips of 100 run from 0 to 99; yours from {clips.min()} to {clips.max()}.",
    )
    sizes = [len(batch) for batch in dealt]
    expect(
        sizes == [30, 30, 30, 10],
        "batches are full but for the last",
        hint=f"100 clips in batches of 30 should have the sizes 30, 30, 30 and 10; yours have {sizes}.",
    )
    _expect_a_fair_order(answer, dealt)
    exact = [len(batch) for batch in _dealt(answer, 60, 20, 0)]
    expect(
        exact == [20, 20, 20],
        "no batch is empty",
        hint=f"60 clips in batches of 20 should have the sizes 20, 20 and 20; yours have {exact}.",
    )


class _Rng(np.random.Generator):
    """A generator that a hint can show in one word."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.PCG64(seed))

    def __repr__(self) -> str:
        return "rng"


def _dealt(answer: Callable[..., Any], n_clips: int, size: int, seed: int) -> list[np.ndarray]:
    got = call(answer, n_clips, size, _Rng(seed))
    expect(
        isinstance(got, (list, tuple)) and all(np.ndim(batch) == 1 for batch in got),
        "the answer is a list of batches, each an array of clip numbers",
        hint=f"For {n_clips} clips in batches of {size} it returns {show(got)}.",
    )
    return [np.asarray(batch, int) for batch in got]


def _expect_a_fair_order(answer: Callable[..., Any], dealt: list[np.ndarray]) -> None:
    """Expect an order that `rng` draws, mixed within and between batches."""
    clips = np.concatenate(dealt)
    expect(
        not np.array_equal(clips, np.arange(100)),
        "the order is drawn anew in every epoch",
        hint="Clips 0, 1, 2, ... come in their own order, and so does one word after the other. Draw the "
        "order "
        "with rng.permutation.",
    )
    neighbours = [np.ptp(batch) < len(batch) for batch in dealt]
    expect(
        not all(neighbours),
        "clips are mixed, not only batches",
        hint="Every batch holds clips with neighbouring numbers. Draw the order of the clips first, and "
        "cut it "
        "into batches then.",
    )
    rng = _Rng(0)
    epochs = [np.concatenate(call(answer, 100, 30, rng)) for _ in range(2)]
    expect(
        not np.array_equal(*epochs),
        "the order is drawn anew in every epoch",
        hint="Called twice with the same rng, it gives the same order twice. Let rng draw it; make no "
        "generator "
        "of your own.",
    )
    expect(
        np.array_equal(epochs[0], np.concatenate(_dealt(answer, 100, 30, 0))),
        "the same seed gives the same order",
        hint="Called with two generators of seed 0, it gives two orders. Use the rng that comes in, and "
        "nothing "
        "else that is random.",
    )


@exercise
def learning_rate(answer: Callable[[int, int, int, float], float]) -> None:
    """Check a function that gives the learning rate of a step: a straight rise, then half a cosine.

    Parameters
    ----------
    answer : callable
        ``answer(step, n_steps, n_warmup, top)`` returns the rate of a step, counted from 0: it rises in a
        straight line from 0 at step 0 to `top` at step `n_warmup`, then falls along half a cosine and would
        reach 0 at step `n_steps`.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> import math
    >>> outcome = learning_rate(lambda s, n, w, top: top * (1 + math.cos(math.pi * s / n)) / 2)
    not yet: it begins at 0
    hint: With 10 steps of warm-up and a top of 0.01, step 0 has the rate 0.01; the rise begins at 0.

    Lesson: 06
    """
    story = "With 10 steps of warm-up and a top of 0.01,"
    rates = np.array([_number(call(answer, step, 100, 10, 0.01)) for step in range(101)])
    expect(
        abs(rates[0]) < 1e-9,
        "it begins at 0",
        hint=f"{story} step 0 has the rate {rates[0]:.4g}; the rise begins at 0.",
    )
    expect(
        np.allclose(rates[:10], 0.001 * np.arange(10), atol=1e-9),
        "it rises in a straight line",
        hint=f"{story} step 5 should have half of that, 0.005, and has {rates[5]:.4g}: a share of "
        "step / n_warmup.",
    )
    expect(
        math.isclose(rates[10], 0.01, rel_tol=1e-6),
        "the rise ends at the top",
        hint=f"{story} step 10 should have 0.01 and has {rates[10]:.4g}. The cosine begins where the rise "
        "ends: count its steps from n_warmup on.",
    )
    expect(
        not np.allclose(rates[10:], 0.01),
        "it falls after the rise",
        hint=f"{story} all later steps have 0.01.",
    )
    expect(
        abs(rates[100]) < 1e-9,
        "it would reach 0 at the end",
        hint=f"{story} step 100 of 100 should have 0 and has {rates[100]:.4g}. Half a cosine lasts from "
        "cos 0 "
        "to cos π, over the n_steps - n_warmup steps that are left.",
    )
    expect(
        math.isclose(rates[55], 0.005, rel_tol=1e-6),
        "halfway down it has half of the top",
        hint=f"{story} step 55 lies halfway between 10 and 100; it should have 0.005 and has "
        f"{rates[55]:.4g}.",
    )
    expect(
        math.isclose(rates[28], 0.01 * (1 + math.cos(0.2 * math.pi)) / 2, rel_tol=1e-6),
        "it falls along a cosine",
        hint=f"{story} step 28 should have 0.00905 and has {rates[28]:.4g}: slowly at first, then faster, "
        "then "
        "slowly again.",
    )
    without = _number(call(answer, 0, 50, 0, 0.3))
    expect(
        math.isclose(without, 0.3, rel_tol=1e-6),
        "without warm-up it begins at the top",
        hint=f"With n_warmup=0 and a top of 0.3, step 0 has the rate {without:.4g}. Take the cosine as "
        "soon as "
        "step is n_warmup, and divide by n_warmup only before.",
    )


def _number(got: Any) -> float:
    try:
        number = float(got)
    except (TypeError, ValueError):
        number = math.nan
    expect(
        math.isfinite(number) and not isinstance(got, bool),
        "the answer is a number",
        hint=f"It returns {show(got)}.",
    )
    return number


@exercise
def stop_early(answer: Callable[[Sequence[float], int], tuple[int, int]]) -> None:
    """Check a function that says which epoch to keep and when to stop.

    Parameters
    ----------
    answer : callable
        ``answer(losses, patience)`` takes the validation loss of each epoch and returns ``(best, last)``,
        epochs counted from 1: training stops after the first epoch at which `patience` epochs in a row have
        brought nothing below the lowest loss so far, and keeps the weights of the lowest.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = stop_early(lambda losses, patience: (int(np.argmin(losses)), len(losses)))
    not yet: epochs are counted from 1
    hint: The losses 3, 2, 1 are lowest in epoch 3, not 2.

    Lesson: 06
    """
    best, last = _epochs(answer, [3.0, 2.0, 1.0], 2)
    expect(
        (best, last) != (2, 3) and (best, last) != (2, 2),
        "epochs are counted from 1",
        hint=f"The losses 3, 2, 1 are lowest in epoch 3, not {best}.",
    )
    expect(
        (best, last) == (3, 3),
        "while the loss falls, training goes on to the end",
        hint=f"The losses 3, 2, 1 fall all the time: (3, 3). It returns {best, last}.",
    )
    losses = [3.0, 2.0, 2.5, 2.4, 2.3, 1.0]
    best, last = _epochs(answer, losses, 3)
    expect(
        last != 6 and best != 6,
        "it does not look into the future",
        hint="The losses 3, 2, 2.5, 2.4, 2.3, 1 with a patience of 3 end at epoch 5; that epoch 6 would have "
        f"been better, nobody can know. It returns {best, last}.",
    )
    expect(
        last != 4,
        "it waits as many epochs as it has patience",
        hint="The losses 3, 2, 2.5, 2.4, 2.3, 1 with a patience of 3: epochs 3, 4 and 5 bring nothing "
        "better, "
        "so it stops after 5. It returns 4.",
    )
    expect(
        last == 5,
        "it stops when its patience is over",
        hint="The losses 3, 2, 2.5, 2.4, 2.3, 1 with a patience of 3: epochs 3, 4 and 5 bring nothing better "
        f"than epoch 2, so it stops after 5. It returns {last}. Compare with the lowest so far, not with the "
        "epoch before.",
    )
    expect(
        best == 2,
        "it keeps the epoch with the lowest loss",
        hint="The losses 3, 2, 2.5, 2.4, 2.3, 1 with a patience of 3: of the first five, epoch 2 is "
        "lowest. It "
        f"keeps {best}.",
    )
    again = _epochs(answer, [5.0, 4.0, 4.5, 3.0, 3.5, 2.0, 2.5], 2)
    expect(
        again == (6, 7),
        "a better epoch gives the patience back",
        hint="The losses 5, 4, 4.5, 3, 3.5, 2, 2.5 with a patience of 2 never get worse twice in a row: "
        f"(6, 7). It returns {again}. Count anew after each better epoch.",
    )
    equal = _epochs(answer, [1.0, 1.0, 1.0, 1.0], 2)
    expect(
        equal == (1, 3),
        "as good is not better",
        hint="The losses 1, 1, 1, 1 with a patience of 2: epochs 2 and 3 are not below epoch 1, so (1, "
        "3). It "
        f"returns {equal}.",
    )


def _epochs(answer: Callable[..., Any], losses: list[float], patience: int) -> tuple[int, int]:
    got = call(answer, list(losses), patience)
    expect(
        isinstance(got, (tuple, list)) and len(got) == 2,
        "the answer is two epochs: the best, and the last",
        hint=f"It returns {show(got)}. End with return best, last.",
    )
    return int(_number(got[0])), int(_number(got[1]))


@exercise
def snapshot(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Check a function that keeps the state of a training, so that it can go on from there.

    Parameters
    ----------
    answer : callable
        ``answer(state)`` takes a dict with arrays "weights" and "velocity", a generator "rng" and a number
        "step", and returns a dict of the same kind that further training does not change.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = snapshot(lambda state: dict(state))
    not yet: what is kept does not change when the training goes on
    hint: After two more steps the weights that were kept have changed too: they are the same array.
    Copy what is in the dict, not only the dict.

    Lesson: 06
    """
    state = _new_state()
    _train(state, 3)
    at_that_moment = copy.deepcopy(state)
    kept = call(answer, state)
    expect(
        isinstance(kept, dict),
        "the answer is a dict, like the state",
        hint=f"It returns {show(kept)}.",
    )
    missing = [name for name in state if name not in kept]
    expect(
        not missing,
        "everything that changes in training is kept",
        hint=f"{missing[0]!r} is missing. Without it the next steps would not be the same."
        if missing
        else "",
    )
    wanted = copy.deepcopy(at_that_moment)
    expect(
        all(np.array_equal(kept[name], wanted[name]) for name in ("weights", "velocity", "step")),
        "it keeps the state of this moment",
        hint="Weights, velocity or step are not what they were when the function was called.",
    )
    _train(state, 2)
    for name in ("weights", "velocity"):
        expect(
            np.array_equal(kept[name], wanted[name]),
            "what is kept does not change when the training goes on",
            hint=f"After two more steps the {name} that were kept have changed too: they are the same array. "
            "Copy what is in the dict, not only the dict.",
        )
    expect(
        kept["rng"].bit_generator.state == wanted["rng"].bit_generator.state,
        "the random numbers go on where they were",
        hint="The kept generator is not at the place where the training's was: it draws other clips. Copy it "
        "with copy.deepcopy; a new one with the same seed begins from the start.",
    )
    _train(wanted, 5)
    resumed = copy.deepcopy(kept)
    _train(resumed, 5)
    expect(
        np.array_equal(resumed["weights"], wanted["weights"]),
        "the resumed training ends with the same weights, bit for bit",
        hint="Five steps after going on, the weights are not those of a training that was never interrupted.",
    )


class _State(dict):
    """The state of a training, which a hint can show in one word."""

    def __repr__(self) -> str:
        return "state"


def _new_state() -> dict[str, Any]:
    return _State(weights=np.zeros(4), velocity=np.zeros(4), rng=np.random.default_rng(0), step=0)


def _train(state: dict[str, Any], steps: int) -> None:
    """Take noisy steps with momentum towards (1, 2, 3, 4), in place."""
    for _ in range(steps):
        noise = state["rng"].normal(size=4)
        slope = state["weights"] - np.arange(1.0, 5.0) + noise
        state["velocity"] *= 0.9
        state["velocity"] -= 0.1 / (1 + state["step"]) * slope
        state["weights"] += state["velocity"]
        state["step"] += 1


Sets = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@exercise
def prepared(answer: Callable[..., Sets]) -> None:
    """Check a mended function that prepares pictures for training and for validation.

    Parameters
    ----------
    answer : callable
        ``answer(pictures, words, new_pictures, new_words, rng)`` returns the four again: both sets of
        pictures normalised by the mean and the deviation of the training set; the training set shuffled and
        disturbed with noise of deviation 0.3; the validation set in its order and undisturbed.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> def careless(pictures, words, new_pictures, new_words, rng):
    ...     return pictures[rng.permutation(len(pictures))], words, new_pictures, new_words
    >>> outcome = prepared(careless)
    not yet: every picture keeps its word
    hint: Pictures and words went in as pairs; now 10 % of the pairs are right, as by guessing. Draw one
    order, and put both into it.

    Lesson: 06
    """
    rng = np.random.default_rng(0)
    words, new_words = np.arange(500) % 10, np.arange(100) % 10
    # All values of a picture are near the number of its word; their mean tells it in spite of the noise.
    pictures = words[:, None, None] + rng.normal(0, 0.01, (500, 20, 10))
    new_pictures = 2.0 * new_words[:, None, None] + 3 + rng.normal(0, 0.01, (100, 20, 10))
    originals = [each.copy() for each in (pictures, words, new_pictures, new_words)]
    given = [each.copy() for each in originals]
    got = call(answer, *given, _Rng(1))
    expect(
        isinstance(got, (tuple, list))
        and [np.shape(part) for part in got] == [np.shape(part) for part in originals],
        "four arrays come back, as large as they went in",
        hint=f"500 pictures and 100 new ones went in; {show(got)} came back.",
    )
    x, y, x_new, y_new = (np.asarray(part) for part in got)
    mean, deviation = pictures.mean(), pictures.std()
    told = _told_by(x, y, words)
    expect(
        told > 0.9,
        "every picture keeps its word",
        hint=f"Pictures and words went in as pairs; now {100 * told:.0f} % of the pairs are right, as by "
        "guessing. Draw one order, and put both into it.",
    )
    expect(
        not np.array_equal(y, words),
        "the training set is shuffled",
        hint="The training words came back in the order in which they went in.",
    )
    _expect_validation_left_alone(x_new, y_new, new_pictures, new_words, mean, deviation, pictures)
    within = np.sqrt(np.mean([np.var(each) for each in x]))
    expect(
        within > 0.2,
        "the training set is disturbed",
        hint="The training pictures came back without noise. Only the validation set is to be left alone.",
    )
    middle, wide = (pictures.mean(), np.hypot(pictures.std() / deviation, 0.3))
    expect(
        abs(x.mean() - (middle - mean) / deviation) < 0.05 and abs(x.std() - wide) < 0.05,
        "the training pictures are normalised, then disturbed with a deviation of 0.3",
        hint=f"Their mean is {x.mean():.2f} and their deviation {x.std():.2f}; expected 0.00 and {wide:.2f}.",
    )


def _told_by(x: np.ndarray, y: np.ndarray, words: np.ndarray) -> float:
    """Return the share of pictures whose values rank as their words do."""
    level = x.reshape(len(x), -1).mean(axis=1)
    ranked = np.empty(len(x), int)
    ranked[np.argsort(level, kind="stable")] = np.sort(words)
    return float(np.mean(ranked == y))


def _expect_validation_left_alone(
    x_new: np.ndarray,
    y_new: np.ndarray,
    new_pictures: np.ndarray,
    new_words: np.ndarray,
    mean: float,
    deviation: float,
    pictures: np.ndarray,
) -> None:
    expect(
        np.array_equal(y_new, new_words),
        "the validation set stays in its order",
        hint="Nothing is gained by shuffling what is only asked. Leave its words as they are.",
    )
    noise = np.sqrt(np.mean([np.var(each) for each in x_new]))
    expect(
        noise < 0.1,
        "the validation set is not disturbed",
        hint="The validation pictures came back with noise in them. Then nobody knows how well the network "
        "does on recordings as they are. Disturb only what is learned from.",
    )
    expect(
        not np.allclose(x_new, new_pictures),
        "the validation set is normalised like the training set",
        hint="The validation pictures came back as they went in. The network has learned from normalised "
        "ones.",
    )
    for other, whose in (
        (np.concatenate([pictures, new_pictures]), "of both sets together"),
        (new_pictures, "of the validation set"),
    ):
        expect(
            not np.allclose(x_new, (new_pictures - other.mean()) / other.std(), atol=1e-3),
            "mean and deviation come from the training set alone",
            hint=f"The validation pictures are normalised with the mean and deviation {whose}. What is to be "
            "predicted must not help to prepare: the next new voice will not be there either.",
        )
    expect(
        np.allclose(x_new, (new_pictures - mean) / deviation, atol=1e-3),
        "the validation set is normalised like the training set",
        hint=f"Subtract the training set's mean, {mean:.2f}, and divide by its deviation, {deviation:.2f}.",
    )


@exercise
def surprise(answer: Callable[[np.ndarray, np.ndarray], float]) -> None:
    """Check a mended function that gives the mean surprise of a network's scores.

    Parameters
    ----------
    answer : callable
        ``answer(scores, words)`` takes scores (n_clips, n_words), before any softmax, and the right words
        (n_clips,), and returns the mean of the negative logarithms of their probabilities.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> def softmax(rows):
    ...     powers = np.exp(rows - rows.max(axis=1, keepdims=True))
    ...     return powers / powers.sum(axis=1, keepdims=True)
    >>> def twice(scores, words):
    ...     return -np.log(softmax(softmax(scores))[np.arange(len(words)), words]).mean()
    >>> outcome = surprise(twice)
    not yet: who is sure and right is not surprised
    hint: A score of 50 for the right word and 0 for nine others is near certainty; the surprise should
    be 0 and is 1.461, which is ln(e + 9) - 1: what a softmax makes of probabilities. Take one softmax.

    Lesson: 06
    """
    words = np.array([3, 0, 7])
    even = _number(call(answer, np.zeros((3, 10)), words))
    expect(
        math.isclose(even, math.log(10), rel_tol=1e-6),
        "who guesses among ten words is surprised by ln 10",
        hint="Ten equal scores are ten probabilities of 0.1; the surprise should be 2.303 and is "
        f"{even:.4g}.",
    )
    sure = np.zeros((3, 10))
    sure[np.arange(3), words] = 50
    got = _number(call(answer, sure.copy(), words))
    story = (
        "A score of 50 for the right word and 0 for nine others is near certainty; the surprise should be 0"
    )
    expect(
        not math.isclose(got, math.log(math.e + 9) - 1, rel_tol=1e-4),
        "who is sure and right is not surprised",
        hint=f"{story} and is 1.461, which is ln(e + 9) - 1: what a softmax makes of probabilities. Take one "
        "softmax.",
    )
    expect(abs(got) < 1e-6, "who is sure and right is not surprised", hint=f"{story} and is {got:.4g}.")
    rng = np.random.default_rng(0)
    scores = rng.normal(0, 2, (40, 10))
    words = rng.integers(0, 10, 40)
    wanted = float(np.mean(_log_sum(scores) - scores[np.arange(40), words]))
    got = _number(call(answer, scores.copy(), words))
    expect(
        math.isclose(got, wanted, rel_tol=1e-5),
        "it is the mean of the negative logarithms of the right words' probabilities",
        hint=f"For 40 clips with random scores the mean surprise should be {wanted:.4g} and is {got:.4g}.",
    )


def _log_sum(scores: np.ndarray) -> np.ndarray:
    top = scores.max(axis=1)
    return top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
