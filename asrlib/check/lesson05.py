"""The checks of lesson 5, "Gradient descent"."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from asrlib import descent
from asrlib.check.base import call, exercise, expect, show

__all__ = ["adam", "cross_entropy", "mini_batches", "slope", "steps_needed", "warm_up"]


@exercise
def cross_entropy(answer: Callable[[np.ndarray, np.ndarray], float]) -> None:
    """Check a function that gives the cross-entropy of scores.

    Parameters
    ----------
    answer : callable
        ``answer(scores, labels)`` takes (n_clips, n_classes) and (n_clips,) and returns nats per clip.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = cross_entropy(lambda scores, labels: -np.log(descent.softmax(scores)).mean())
    not yet: only the true class counts
    hint: For scores 2, 1 and 0, of which the first is true, it returns 1.408, the mean over all three
    classes. Take from each row the probability of its label.

    Lesson: 05
    """
    scores, label = np.array([[2.0, 1.0, 0.0]]), np.array([0])
    p = descent.softmax(scores)[0]
    story = "For scores 2, 1 and 0, of which the first is true, it"
    got = _number(call(answer, scores.copy(), label), story)
    near = {
        float(-np.log(p).mean()): (
            "only the true class counts",
            "the mean over all three classes. Take from each row the probability of its label.",
        ),
        float(-np.log(p).sum()): (
            "only the true class counts",
            "the sum over all three classes. Take from each row the probability of its label.",
        ),
        float(np.log(p[0])): ("a surprise is not negative", "a negative number. Mind the minus sign."),
        float(-np.log2(p[0])): (
            "the logarithm is the natural one",
            "the right thing in bits. A nat is the unit of the natural logarithm: np.log.",
        ),
        float(-np.log10(p[0])): ("the logarithm is the natural one", "a logarithm to base 10. Use np.log."),
        float(1 - p[0]): ("the loss is a logarithm", "1 minus the probability. Take -ln of it instead."),
        float(-p[0]): ("the loss is a logarithm", "minus the probability itself. Take the logarithm of it."),
        -2.0: ("scores become probabilities first", "minus the score. Use the softmax before the logarithm."),
    }
    for value, (statement, hint) in near.items():
        expect(
            not math.isclose(got, value, rel_tol=1e-6),
            statement,
            hint=f"{story} returns {got:.4g}, {hint}",
        )
    expect(
        math.isclose(got, -math.log(p[0]), rel_tol=1e-6),
        "the loss is minus the logarithm of the true class's probability",
        hint=f"{story} should return {-math.log(p[0]):.4g} and returns {got:.4g}.",
    )
    many = np.repeat(scores, 5, axis=0)
    labels = np.array([0, 0, 1, 2, 2])
    expected = descent.cross_entropy(many, labels)
    got = _number(call(answer, many, labels), "For five clips it")
    expect(
        not math.isclose(got, 5 * expected, rel_tol=1e-6),
        "the loss is a mean over clips",
        hint="For five clips it returns the sum over them. Divide by their number: then a learning rate "
        "means the same for any number of clips.",
    )
    expect(
        math.isclose(got, expected, rel_tol=1e-6),
        "each clip has its own label",
        hint=f"For five clips of labels 0, 0, 1, 2, 2 it should return {expected:.4g} and returns {got:.4g}. "
        "Row i needs column labels[i]: p[np.arange(len(labels)), labels].",
    )
    with np.errstate(all="ignore"):
        got = call(answer, np.array([[1000.0, 0.0]]), np.array([1]))
    expect(
        isinstance(got, (int, float, np.number)) and math.isclose(got, 1000, rel_tol=1e-6),
        "it stands scores of 1000",
        hint=f"For scores 1000 and 0, of which the second is true, the loss is 1000; it returns {show(got)}. "
        "exp(1000) is too large for a computer and exp(-1000) too small. Take the largest score from all of "
        "them first, and work with ln p = s - ln(sum of exp(s)) instead of with p.",
    )


def _number(got: Any, story: str) -> float:
    expect(
        isinstance(got, (int, float, np.number)) and not isinstance(got, bool),
        "the answer is a number",
        hint=f"{story} returns {show(got)}.",
    )
    return float(got)


@exercise
def slope(answer: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]) -> None:
    """Check a function that gives the gradient of a softmax regression's loss by its weights.

    Parameters
    ----------
    answer : callable
        ``answer(weights, inputs, labels)`` takes (n_inputs, n_classes), (n_clips, n_inputs) and (n_clips,)
        and returns the shape of the weights.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = slope(lambda w, x, y: x.T @ (descent.softmax(x @ w) - np.eye(w.shape[1])[y]))
    not yet: it is the gradient of the mean
    hint: For 7 clips it returns 7 times what finite differences measure. Divide by the number of clips.

    Lesson: 05
    """
    rng = np.random.default_rng(0)
    for n_clips, n_inputs, n_classes in ((7, 4, 3), (12, 3, 10), (1, 5, 2)):
        weights, inputs = rng.normal(size=(n_inputs, n_classes)), rng.normal(size=(n_clips, n_inputs))
        labels = rng.integers(0, n_classes, n_clips)

        def loss(w: np.ndarray, inputs: np.ndarray = inputs, labels: np.ndarray = labels) -> float:
            return descent.cross_entropy(inputs @ w, labels)

        expected = descent.finite_difference(loss, weights)
        got = np.asarray(call(answer, weights.copy(), inputs.copy(), labels.copy()), float)
        expect(
            got.shape == weights.shape,
            "there is one slope for each weight",
            hint=f"Weights of shape {weights.shape} came back with shape {got.shape}. The inputs turned, "
            "times the errors: (n_inputs, n_clips) @ (n_clips, n_classes).",
        )
        expect(
            not np.allclose(got, -expected, atol=1e-6),
            "the gradient points uphill",
            hint="It returns the opposite of what finite differences measure. The error is what was "
            "predicted minus what was true, p - y; descent then goes against it.",
        )
        expect(
            n_clips == 1 or not np.allclose(got, n_clips * expected, atol=1e-6),
            "it is the gradient of the mean",
            hint=f"For {n_clips} clips it returns {n_clips} times what finite differences measure. Divide by "
            "the number of clips.",
        )
        predicted = inputs.T @ descent.softmax(inputs @ weights) / n_clips
        expect(
            not np.allclose(got, predicted, atol=1e-6),
            "what was true is taken away",
            hint="It returns the inputs times the predicted probabilities. Take 1 from the probability of "
            "the true class of each clip first: the error is p - y.",
        )
        expect(
            np.allclose(got, expected, atol=1e-6),
            "it is what finite differences measure",
            hint=f"For {n_clips} clips of {n_inputs} inputs the first weight has the slope "
            f"{expected.flat[0]:.4g}; it returns {got.flat[0]:.4g}. Scores, softmax over the classes of each "
            "clip (axis=1), error p - y, then inputs.T @ error / n.",
        )


@exercise
def steps_needed(answer: Callable[[np.ndarray, float], float]) -> None:
    """Check a function that says how many steps plain descent needs in a bowl.

    Parameters
    ----------
    answer : callable
        ``answer(curvatures, learning_rate)`` returns the number of steps after which every weight is at most
        a hundredth of what it was; ``math.inf`` when that never happens.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = steps_needed(lambda curvatures, rate: 1 / (rate * np.min(curvatures)))
    not yet: the slowest weight decides
    hint: For curvatures 2 and 1 and a rate of 0.5 the second weight halves at each step, and 2**-7 is
    the first power below 1/100: 7 steps; it returns 2. Take the largest factor, and round up to a
    whole step.

    Lesson: 05
    """
    one_step = _number(call(answer, np.array([2.0]), 0.5), "For curvature 2 and learning rate 0.5 it")
    expect(
        one_step == 1,
        "one step can be enough",
        hint="Curvature 2, learning rate 0.5: the factor per step is 1 - 0.5 * 2 = 0, so 1 step; it returns "
        f"{show(one_step)}. The logarithm of 0 is minus infinity: answer at least 1.",
    )
    two = _number(call(answer, np.array([2.0, 1.0]), 0.5), "For curvatures 2 and 1 it")
    expect(
        two == 7,
        "the slowest weight decides",
        hint="For curvatures 2 and 1 and a rate of 0.5 the second weight halves at each step, and 2**-7 is "
        f"the first power below 1/100: 7 steps; it returns {two:.4g}. Take the largest factor, and round up "
        "to a whole step.",
    )
    back = _number(call(answer, np.array([1.0]), 1.5), "For curvature 1 and learning rate 1.5 it")
    expect(
        back == 7,
        "a weight that changes sides shrinks too",
        hint="For curvature 1 and a rate of 1.5 the factor is -0.5: the weight changes sides and halves. 7 "
        f"steps; it returns {back:.4g}. Take the size of the factor, abs(1 - rate * curvature).",
    )
    for curvatures, rate, why in (
        ([1.0, 3.0], 0.7, "the factor of the second weight is -1.1: it grows"),
        ([1.0], 2.0, "the factor is -1: it goes from side to side for ever"),
        ([1.0, 0.0], 0.5, "the second weight has no slope and never moves"),
    ):
        got = _number(call(answer, np.array(curvatures), rate), f"For curvatures {curvatures} it")
        expect(
            got == math.inf,
            "what does not shrink never arrives",
            hint=f"For curvatures {curvatures} and a rate of {rate:g} {why}. The answer is math.inf; it "
            f"returns {got:.4g}.",
        )
    for curvatures, rate in (([0.02, 1.0], 1.8), ([1.0, 5.0], 0.39), ([0.3], 0.01)):
        got = _number(call(answer, np.array(curvatures), rate), f"For curvatures {curvatures} it")
        factor = max(abs(1 - rate * curvature) for curvature in curvatures)
        expected = math.ceil(math.log(0.01) / math.log(factor))
        expect(
            got == expected,
            "it is what a walk needs",
            hint=f"For curvatures {curvatures} and a rate of {rate:g} the largest factor is {factor:.4g}, "
            f"and {factor:.4g} to the power {expected} is the first below 1/100; it returns {got:.6g}.",
        )


@exercise
def mini_batches(answer: Callable[..., Iterator[tuple[np.ndarray, np.ndarray]]]) -> None:
    """Check a mended function that gives the mini-batches of one epoch.

    Parameters
    ----------
    answer : callable
        ``answer(features, labels, batch_size, rng)`` yields pairs of features and labels.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> def in_order(features, labels, batch_size, rng):
    ...     for first in range(0, len(labels), batch_size):
    ...         yield features[first : first + batch_size], labels[first : first + batch_size]
    >>> outcome = mini_batches(in_order)
    not yet: each epoch has its own order
    hint: Two epochs gave the clips in the same order, the one they came in. Draw one with
    rng.permutation, once per epoch.

    Lesson: 05
    """
    labels = np.arange(23) % 5
    features = np.column_stack([np.arange(23.0), 10.0 * labels])
    rng = np.random.default_rng(0)
    epochs = []
    for _ in range(2):
        batches = call(lambda: list(answer(features.copy(), labels.copy(), 5, rng)))
        expect(
            all(isinstance(batch, tuple) and len(batch) == 2 for batch in batches),
            "each batch is a pair of features and labels",
            hint="yield features[...], labels[...]: both at once.",
        )
        expect(batches != [], "there are batches", hint="It yields nothing at all.")
        epochs.append(batches)
    expect(
        all(np.array_equal(x[:, 1], 10.0 * y) for batches in epochs for x, y in batches),
        "every clip keeps its own label",
        hint="Some clips came with the label of another one. Whatever reorders the features must reorder the "
        "labels alike.",
    )
    seen = [np.concatenate([x[:, 0] for x, _ in batches]) for batches in epochs]
    expect(
        all(len(np.unique(each)) == len(each) for each in seen),
        "no clip comes twice in an epoch",
        hint="A clip came twice. Draw an order with rng.permutation and cut it into pieces.",
    )
    expect(
        all(len(each) == 23 for each in seen),
        "every clip comes once in an epoch",
        hint=f"Of 23 clips, 5 at a time, {len(seen[0])} came. The last batch may be shorter, but must not be "
        "left out: let range run to the number of clips.",
    )
    expect(
        all([len(y) for _, y in batches] == [5, 5, 5, 5, 3] for batches in epochs),
        "all batches but the last are full",
        hint=f"Of 23 clips, 5 at a time, the batches had {[len(y) for _, y in epochs[0]]} clips; expected 5, "
        "5, 5, 5 and 3.",
    )
    same, unmoved = np.array_equal(*seen), np.array_equal(seen[0], np.arange(23))
    expect(
        not same,
        "each epoch has its own order",
        hint="Two epochs gave the clips in the same order"
        + (", the one they came in" if unmoved else "")
        + ". Draw one with rng.permutation, once per epoch.",
    )


@exercise
def adam(answer: Callable[[float], Any]) -> None:
    """Check a mended Adam.

    Parameters
    ----------
    answer : class
        ``answer(learning_rate)`` makes an optimiser, whose ``step(weights, gradient)`` returns new weights.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = adam(descent.RMSProp)
    not yet: the first step is as long as the learning rate
    hint: With a learning rate of 0.1 the first step moved a weight by 0.3162, not by 0.1. Both means
    began at 0: after one step the mean is a tenth of the gradient, and the mean square a thousandth of its
    square. Divide each by what is missing, 1 - beta**n.

    Lesson: 05
    """
    start = np.array([1.0, -2.0, 0.5])

    def run(gradients: list[np.ndarray], rate: float = 0.1) -> list[np.ndarray]:
        optimizer, weights, path = call(answer, rate), start.copy(), [start]
        expect(
            hasattr(optimizer, "step"),
            "the answer is the class itself",
            hint=f"answer(0.1) gave {show(optimizer)}, which has no step(weights, gradient).",
        )
        for slope_ in gradients:
            weights = np.asarray(call(optimizer.step, weights, slope_), float)
            path.append(weights)
        return path

    one = np.array([3.0, -0.02, 500.0])
    first = run([one])[1] - start
    expect(
        np.all(np.sign(first) == -np.sign(one)),
        "each weight goes against its gradient",
        hint=f"Gradients of +, - and + moved the weights by {first[0]:.2g}, {first[1]:.2g} and "
        f"{first[2]:.2g}.",
    )
    expect(
        np.allclose(np.abs(first), 0.1, rtol=1e-3),
        "the first step is as long as the learning rate",
        hint=f"With a learning rate of 0.1 the first step moved a weight by {abs(first[0]):.4g}, not by 0.1. "
        "Both means began at 0: after one step the mean is a tenth of the gradient, and the mean square a "
        "thousandth of its square. Divide each by what is missing, 1 - beta**n.",
    )
    steady = run([one] * 12)
    lengths = np.abs(np.diff(steady, axis=0))
    expect(
        np.allclose(lengths, 0.1, rtol=1e-3),
        "under a steady gradient every step is as long as the learning rate",
        hint=f"With a learning rate of 0.1 and the same gradient twelve times the last step is "
        f"{lengths[-1, 0]:.4g}. What is missing is 1 - beta**n, where n counts the steps from 1.",
    )
    rng = np.random.default_rng(0)
    gradients = list(rng.normal(size=(30, 3)) * np.array([1.0, 100.0, 0.1]))
    ours, reference, weights = run(gradients), descent.Adam(0.1), start
    for number, slope_ in enumerate(gradients, start=1):
        weights = reference.step(weights, slope_)
        expect(
            np.allclose(ours[number], weights, atol=1e-3),  # epsilon may stand in two places
            "every step is Adam's",
            hint=f"Step {number} of a walk with changing gradients differs from Adam's by "
            f"{np.abs(ours[number] - weights).max():.2g}. beta_1 = 0.9 for the mean of the gradients, "
            "beta_2 = 0.999 for the mean of their squares, and the root of the latter below.",
        )


@exercise
def warm_up(answer: Callable[[int, float, int, int], float]) -> None:
    """Check a learning rate that climbs, then falls along half a cosine.

    Parameters
    ----------
    answer : callable
        ``answer(step, peak, climb, total)`` returns the learning rate at a step: from 0 straight up to
        ``peak`` at step ``climb``, then down along half a cosine wave to 0 at step ``total``.

    Returns
    -------
    Outcome

    Examples
    --------
    >>> outcome = warm_up(lambda step, peak, climb, total: peak * min(step / climb, 1))
    not yet: it falls to 0 at the end
    hint: With a peak of 0.4, 10 steps of climb and 50 in all, the rate at step 50 is 0; it returns 0.4.

    Lesson: 05
    """

    def rate(step: int, peak: float = 0.4, climb: int = 10, total: int = 50) -> float:
        return _number(call(answer, step, peak, climb, total), f"At step {step} it")

    facts = "With a peak of 0.4, 10 steps of climb and 50 in all, the rate"
    for step, expected, statement in (
        (0, 0.0, "it begins at 0"),
        (5, 0.2, "it climbs along a straight line"),
        (10, 0.4, "it is at its peak when the climb ends"),
        (50, 0.0, "it falls to 0 at the end"),
        (30, 0.2, "half way down it is half the peak"),
    ):
        got = rate(step)
        expect(
            math.isclose(got, expected, abs_tol=1e-9),
            statement,
            hint=f"{facts} at step {step} is {expected:g}; it returns {got:.4g}."
            + (" The fall takes total - climb steps and begins at climb." if step == 30 else ""),
        )
    got, straight = rate(20), 0.3
    expect(
        not math.isclose(got, straight, rel_tol=1e-6),
        "the fall is half a cosine",
        hint=f"{facts} falls along a straight line. Use (1 + cos(pi * x)) / 2, where x goes from 0 to 1.",
    )
    for peak, climb, total in ((0.4, 10, 50), (1.0, 7, 100), (0.02, 1, 9)):
        ours = descent.CosineDecay(0.0, total - climb, warmup_target=peak, warmup_steps=climb)
        for step in range(total + 1):
            got = rate(step, peak, climb, total)
            expect(
                math.isclose(got, ours(step), rel_tol=1e-6, abs_tol=1e-9),
                "it holds for any peak, climb and total",
                hint=f"With a peak of {peak:g}, {climb} steps of climb and {total} in all, the rate at step "
                f"{step} is {ours(step):.4g}; it returns {got:.4g}.",
            )
