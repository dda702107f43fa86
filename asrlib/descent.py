"""Gradient descent from the ground up: a loss, its gradient, and ways to walk down it, in NumPy alone.

Three kinds of things, and one function that joins them:

- an *objective* knows a loss and its gradient: `SoftmaxRegression` on features of clips, `Bowl` for pictures,
  `Plane` for two directions of another one;
- an *optimizer* turns a gradient into a step: `SGD`, `Momentum`, `Nesterov`, `RMSProp`, `Adam`, `AdamW`, with
  the names, the defaults and, step for step, the numbers of Keras;
- a *schedule* says the learning rate at each step: `Constant`, `ExponentialDecay`, `PiecewiseConstantDecay`,
  `CosineDecay` with or without warm-up, again as in Keras;
- `minimise` walks, and returns the whole `Path` with the work that it took.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Bowl",
    "Constant",
    "CosineDecay",
    "ExponentialDecay",
    "Momentum",
    "Nesterov",
    "Objective",
    "Optimizer",
    "Path",
    "PiecewiseConstantDecay",
    "Plane",
    "RMSProp",
    "SoftmaxRegression",
    "cross_entropy",
    "finite_difference",
    "gradient",
    "hessian_times",
    "loss_surface",
    "minimise",
    "sharpest",
    "softmax",
    "surprise",
]

Rows = np.ndarray | slice
Schedule = Callable[[int], float]
_ALL = slice(None)
# OpenBLAS spreads larger products over threads. On a busy machine those wait for each other for milliseconds.
_ONE_THREAD_PRODUCT = 4 * 65536


# --- the loss -----------------------------------------------------------------------------------------------


def softmax(scores: np.ndarray) -> np.ndarray:
    """Turn scores into probabilities: exponentials, divided by their sum.

    Parameters
    ----------
    scores : array, shape (..., n_classes)
        One score per class, in nats; a constant added to all of them changes nothing.

    Returns
    -------
    ndarray, shape (..., n_classes)
        Between 0 and 1, adding up to 1 along the last axis.

    Examples
    --------
    >>> softmax(np.array([0.0, np.log(3.0)]))
    array([0.25, 0.75])

    References
    ----------
    J. S. Bridle, "Probabilistic interpretation of feedforward classification network outputs", in
    *Neurocomputing*, Springer, 1990, pp. 227-236.

    Lesson: 05
    """
    scores = np.asarray(scores)
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))  # the largest exponent is 0: no overflow
    return powers / powers.sum(axis=-1, keepdims=True)


def surprise(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the surprise of each clip's true label: minus the logarithm of its probability.

    Parameters
    ----------
    scores : array, shape (n_clips, n_classes)
        Scores, before the softmax.
    labels : array of int, shape (n_clips,)
        The true class of each clip, from 0 on.

    Returns
    -------
    ndarray, shape (n_clips,)
        In nats: 0 for a certain and right answer, ln 10 for a blind guess among ten.

    Raises
    ------
    ValueError
        When scores and labels do not fit each other.

    Examples
    --------
    >>> surprise(np.zeros((1, 10)), np.array([7])).round(3)
    array([2.303])

    Lesson: 05
    """
    scores, labels = _checked(scores, labels)
    top = scores.max(axis=1)
    # From the scores, not from the probabilities: a probability that rounds to 0 has no logarithm.
    log_sum = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    return log_sum - scores[np.arange(len(labels)), labels]


def cross_entropy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean surprise: the loss that training makes small.

    Parameters
    ----------
    scores : array, shape (n_clips, n_classes)
        Scores, before the softmax.
    labels : array of int, shape (n_clips,)
        The true class of each clip, from 0 on.

    Returns
    -------
    float
        In nats per clip.

    Raises
    ------
    ValueError
        When scores and labels do not fit each other.

    Examples
    --------
    >>> round(cross_entropy(np.zeros((4, 10)), np.array([3, 1, 4, 1])), 4)
    2.3026

    Lesson: 05
    """
    return float(surprise(scores, labels).mean())


def gradient(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return how `cross_entropy` changes with each score: what was predicted minus what was true.

    Parameters
    ----------
    scores : array, shape (n_clips, n_classes)
        Scores, before the softmax.
    labels : array of int, shape (n_clips,)
        The true class of each clip, from 0 on.

    Returns
    -------
    ndarray, shape (n_clips, n_classes)
        ``(softmax(scores) - one_hot) / n_clips``; each row adds up to 0.

    Raises
    ------
    ValueError
        When scores and labels do not fit each other.

    Examples
    --------
    >>> gradient(np.zeros((1, 4)), np.array([2]))
    array([[ 0.25,  0.25, -0.75,  0.25]])

    Lesson: 05
    """
    return _errors(*_checked(scores, labels))


def _errors(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    errors = softmax(scores)
    errors[np.arange(len(labels)), labels] -= 1
    return errors / len(labels)


def finite_difference(
    function: Callable[[np.ndarray], float], at: np.ndarray, *, step: float = 1e-5
) -> np.ndarray:
    """Measure a gradient: move one number at a time a little to both sides, and see what the function does.

    Parameters
    ----------
    function : callable
        Takes an array and returns a number.
    at : array
        Where to measure.
    step : float
        How far to move. Too large and the curve bends, too small and the numbers round; for numbers near 1 in
        float64 the best is near 1e-5.

    Returns
    -------
    ndarray
        Of the shape of `at`. It takes two calls per number: a check, not a way to train.

    Examples
    --------
    >>> finite_difference(lambda x: float(np.sum(x**3)), np.array([1.0, 2.0])).round(6)
    array([ 3., 12.])

    Lesson: 05
    """
    at = np.array(at, float)
    slopes = np.empty_like(at)
    for place in np.ndindex(at.shape):
        middle = at[place]
        at[place] = middle + step
        above = function(at)
        at[place] = middle - step
        below = function(at)
        at[place] = middle
        slopes[place] = (above - below) / (2 * step)
    return slopes


def _checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(scores, float), np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ValueError(
            f"scores have shape {scores.shape} and labels {labels.shape}; expected (n_clips, n_classes) and "
            "(n_clips,)."
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels are {labels.dtype}; expected whole numbers, such as labels.astype(int).")
    return scores, labels


# --- objectives ---------------------------------------------------------------------------------------------


class Objective(Protocol):
    """What `minimise` needs: how many clips there are, and the loss and its gradient on some of them."""

    def __len__(self) -> int: ...

    def loss(self, weights: np.ndarray, rows: Rows = _ALL) -> float:
        """Return the mean loss of these clips."""
        ...

    def gradient(self, weights: np.ndarray, rows: Rows = _ALL) -> np.ndarray:
        """Return how that loss changes with each weight."""
        ...


class SoftmaxRegression:
    """The smallest classifier: a weighted sum of the features for each class, and the softmax of these sums.

    Its weights are one matrix, ``(n_features + 1, n_classes)``; the last row is the bias, the weight of a
    feature that is always 1.

    Parameters
    ----------
    features : array, shape (n_clips, n_features)
        What is known of each clip.
    labels : array of int, shape (n_clips,)
        The class of each clip, from 0 on.
    n_classes : int, optional
        How many classes there are; one more than the largest label when left out.
    l2 : float
        Adds ``l2 / 2`` times the sum of all squared weights to the loss, which keeps them small.

    Raises
    ------
    ValueError
        When features and labels do not fit each other.

    Examples
    --------
    >>> model = SoftmaxRegression(np.array([[-1.0], [1.0]]), np.array([0, 1]))
    >>> round(model.loss(model.start()), 4)
    0.6931
    >>> model.gradient(model.start())
    array([[ 0.5, -0.5],
           [ 0. ,  0. ]])

    Lesson: 05
    """

    def __init__(
        self, features: np.ndarray, labels: np.ndarray, *, n_classes: int | None = None, l2: float = 0.0
    ) -> None:
        features, self.labels = _checked(features, labels)
        self.inputs = with_bias(features)
        self.n_classes = int(self.labels.max()) + 1 if n_classes is None else n_classes
        if not 0 <= self.labels.min() <= self.labels.max() < self.n_classes:
            raise ValueError(
                f"labels go from {self.labels.min()} to {self.labels.max()}; expected 0 to "
                f"{self.n_classes - 1}."
            )
        self.l2 = l2

    def __len__(self) -> int:
        return len(self.labels)

    def start(self) -> np.ndarray:
        """Return weights of zero: every class is as likely as any other."""
        return np.zeros((self.inputs.shape[1], self.n_classes))

    def loss(self, weights: np.ndarray, rows: Rows = _ALL) -> float:
        """Return the cross-entropy of these clips, in nats per clip, with the penalty `l2`."""
        penalty = self.l2 / 2 * np.sum(weights**2) if self.l2 else 0.0
        return cross_entropy(_scores(self.inputs[rows], weights), self.labels[rows]) + float(penalty)

    def gradient(self, weights: np.ndarray, rows: Rows = _ALL) -> np.ndarray:
        """Return how the loss of these clips changes with each weight."""
        inputs = self.inputs[rows]
        errors = _errors(_scores(inputs, weights), self.labels[rows])
        slope = sum(inputs[block].T @ errors[block] for block in _blocks(inputs, weights))
        return slope + self.l2 * weights if self.l2 else slope

    def scores(self, weights: np.ndarray, features: np.ndarray | None = None) -> np.ndarray:
        """Return the scores of other clips, or of its own: (n_clips, n_classes)."""
        return _scores(self.inputs if features is None else with_bias(features), weights)


def _scores(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``inputs @ weights``, a block of rows at a time."""
    return np.concatenate([inputs[block] @ weights for block in _blocks(inputs, weights)])


def _blocks(inputs: np.ndarray, weights: np.ndarray) -> list[slice]:
    height = max(1, _ONE_THREAD_PRODUCT // weights.size)
    return [slice(first, first + height) for first in range(0, len(inputs), height)]


def with_bias(features: np.ndarray) -> np.ndarray:
    """Return features with one more at the end, which is always 1."""
    features = np.asarray(features, float)
    return np.hstack([features, np.ones((len(features), 1))])


@dataclass(frozen=True, eq=False)
class Bowl:
    """A loss that is known exactly: half the squared weights, each times its own curvature.

    Parameters
    ----------
    curvatures : array
        One number per weight, in loss per squared weight. The largest decides which learning rates diverge,
        the smallest how long it takes.

    Examples
    --------
    >>> Bowl(np.array([1.0, 10.0])).gradient(np.array([2.0, 2.0]))
    array([ 2., 20.])

    Lesson: 05
    """

    curvatures: np.ndarray

    def __len__(self) -> int:
        return 1

    def loss(self, weights: np.ndarray, rows: Rows = _ALL) -> float:
        """Return the height of the bowl above its lowest point."""
        return float(0.5 * np.sum(self.curvatures * weights**2))

    def gradient(self, weights: np.ndarray, rows: Rows = _ALL) -> np.ndarray:
        """Return its slope."""
        return self.curvatures * weights


class Plane:
    """Another objective, seen from a point in a few directions only: its weights are steps along these.

    Parameters
    ----------
    objective : Objective
        The loss of all weights.
    origin : array
        Where all steps are zero.
    directions : sequence of array
        Each of the shape of `origin`. They are made perpendicular to each other and of length 1, in order.

    Examples
    --------
    >>> bowl = Bowl(np.array([1.0, 4.0, 9.0]))
    >>> plane = Plane(bowl, origin=np.ones(3), directions=[[0, 0, 2], [0, 1, 1]])
    >>> plane.weights(np.array([-1.0, 3.0]))
    array([1., 4., 0.])
    >>> plane.gradient(np.zeros(2))
    array([9., 4.])

    Lesson: 05
    """

    def __init__(self, objective: Objective, *, origin: np.ndarray, directions: Sequence[np.ndarray]) -> None:
        self.objective, self.origin = objective, np.asarray(origin, float)
        columns = np.stack([np.ravel(np.asarray(direction, float)) for direction in directions], axis=1)
        axes, lengths = np.linalg.qr(columns)
        along = np.diag(lengths)
        if np.abs(along).min() < 1e-12 * np.abs(columns).max():
            raise ValueError("The directions lie in one another; expected one more than the plane has.")
        self._axes = axes * np.sign(along)  # each axis points where its direction points

    def __len__(self) -> int:
        return len(self.objective)

    def weights(self, point: np.ndarray) -> np.ndarray:
        """Return all weights at a point of the plane."""
        return self.origin + (self._axes @ point).reshape(self.origin.shape)

    def project(self, weights: np.ndarray) -> np.ndarray:
        """Return the point of the plane that is nearest to weights, or the points for a stack of them."""
        away = np.asarray(weights) - self.origin
        return away.reshape(*away.shape[: away.ndim - self.origin.ndim], -1) @ self._axes

    def loss(self, weights: np.ndarray, rows: Rows = _ALL) -> float:
        """Return the loss at a point of the plane."""
        return self.objective.loss(self.weights(weights), rows)

    def gradient(self, weights: np.ndarray, rows: Rows = _ALL) -> np.ndarray:
        """Return the slope along each direction: the shadow of the whole gradient."""
        return np.ravel(self.objective.gradient(self.weights(weights), rows)) @ self._axes


def loss_surface(plane: Objective, *, across: np.ndarray, up: np.ndarray, rows: Rows = _ALL) -> np.ndarray:
    """Return the loss on a grid of two weights.

    Parameters
    ----------
    plane : Objective
        One with two weights, such as a `Plane`.
    across, up : array, shape (n_across,), (n_up,)
        The values of the first and of the second weight.
    rows : array or slice
        The clips that count; all when left out.

    Returns
    -------
    ndarray, shape (n_up, n_across)
        Ready for `matplotlib.pyplot.contour(across, up, ...)`.

    Examples
    --------
    >>> loss_surface(Bowl(np.array([2.0, 4.0])), across=np.array([0, 1]), up=np.array([0, 1, 2]))
    array([[0., 1.],
           [2., 3.],
           [8., 9.]])

    Lesson: 05
    """
    return np.array([[plane.loss(np.array([x, y], float), rows) for x in across] for y in up])


def hessian_times(
    objective: Objective, weights: np.ndarray, direction: np.ndarray, *, step: float = 1e-5
) -> np.ndarray:
    """Return how the gradient changes along a direction: the Hessian times it, without the Hessian.

    Parameters
    ----------
    objective : Objective
        The loss.
    weights : array
        Where.
    direction : array
        Of the shape of the weights, of length about 1.
    step : float
        How far to move to both sides along the direction.

    Returns
    -------
    ndarray
        Of the shape of the weights.

    Examples
    --------
    >>> hessian_times(Bowl(np.array([1.0, 10.0])), np.ones(2), np.array([0.0, 1.0])).round(6)
    array([ 0., 10.])

    Lesson: 05
    """
    ahead = objective.gradient(weights + step * direction)
    behind = objective.gradient(weights - step * direction)
    return (ahead - behind) / (2 * step)


def sharpest(
    objective: Objective, weights: np.ndarray, *, rng: np.random.Generator, n_steps: int = 60
) -> tuple[float, np.ndarray]:
    """Find the direction in which a loss bends most, and how much: the largest eigenvalue of its Hessian.

    Power iteration: the Hessian turns any vector towards that direction, more so each time.

    Parameters
    ----------
    objective : Objective
        The loss.
    weights : array
        Where.
    rng : numpy.random.Generator
        Gives the first direction.
    n_steps : int
        How often the Hessian is applied.

    Returns
    -------
    curvature : float
        In loss per squared weight. Plain descent diverges along this direction when its learning rate is
        above 2 divided by it.
    direction : ndarray
        Of the shape of the weights and of length 1.

    Examples
    --------
    >>> curvature, direction = sharpest(Bowl(np.array([1.0, 10.0])), np.ones(2), rng=np.random.default_rng(0))
    >>> round(curvature, 6), np.abs(direction).round(6)
    (10.0, array([0., 1.]))

    Lesson: 05
    """
    direction = rng.normal(size=np.shape(weights))
    for _ in range(n_steps):
        direction = direction / np.linalg.norm(direction)
        turned = hessian_times(objective, weights, direction)
        curvature = float(np.sum(direction * turned))
        if not np.any(turned):
            break
        direction = turned
    return curvature, direction / (np.linalg.norm(direction) or 1.0)


# --- optimizers ---------------------------------------------------------------------------------------------


@dataclass
class Optimizer:
    """A rule that turns a gradient into a step; it remembers what it needs from the steps before.

    Parameters
    ----------
    learning_rate : float or callable
        How far to go, or a schedule that says so for each step, counted from 0.

    Lesson: 05
    """

    learning_rate: float | Schedule
    iterations: int = field(default=0, init=False)

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return the weights after one step."""
        change = self.change(gradient, self.rate())
        self.iterations += 1
        return weights + change

    def rate(self) -> float:
        """Return the learning rate of the next step."""
        return self.learning_rate(self.iterations) if callable(self.learning_rate) else self.learning_rate

    def change(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        """Return what to add to the weights."""
        raise NotImplementedError(f"{type(self).__name__} must define change().")


@dataclass
class SGD(Optimizer):
    """Plain gradient descent: go against the gradient.

    Parameters
    ----------
    learning_rate : float or callable
        Step per gradient.

    Examples
    --------
    >>> SGD(learning_rate=0.1).step(np.array([1.0, 2.0]), np.array([5.0, -5.0]))
    array([0.5, 2.5])

    Lesson: 05
    """

    learning_rate: float | Schedule = 0.01

    def change(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        return -rate * gradient


@dataclass
class Momentum(Optimizer):
    """Descent of a heavy ball: each step keeps a part of the one before. Keras: ``SGD(momentum=0.9)``.

    Parameters
    ----------
    learning_rate : float or callable
        Step per gradient.
    momentum : float
        The part of the last step that is kept, from 0 to below 1.

    Examples
    --------
    >>> ball = Momentum(learning_rate=0.1, momentum=0.5)
    >>> weights = ball.step(np.array([1.0]), np.array([1.0]))
    >>> ball.step(weights, np.array([1.0]))
    array([0.75])

    References
    ----------
    B. T. Polyak, "Some methods of speeding up the convergence of iteration methods", *USSR Computational
    Mathematics and Mathematical Physics* 4 (5), 1964, pp. 1-17.

    Lesson: 05
    """

    learning_rate: float | Schedule = 0.01
    momentum: float = 0.9
    velocity: Any = field(default=0.0, init=False)

    def change(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        self.velocity = self.momentum * self.velocity - rate * gradient
        return self.velocity


@dataclass
class Nesterov(Momentum):
    """Momentum that looks ahead. Keras: ``SGD(momentum=0.9, nesterov=True)``.

    Parameters
    ----------
    learning_rate : float or callable
        Step per gradient.
    momentum : float
        The part of the last step that is kept, from 0 to below 1.

    Examples
    --------
    >>> Nesterov(learning_rate=0.1, momentum=0.5).step(np.array([1.0]), np.array([1.0]))
    array([0.85])

    References
    ----------
    I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and momentum in deep
    learning", ICML 2013.

    Lesson: 05
    """

    def change(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        return self.momentum * super().change(gradient, rate) - rate * gradient


@dataclass
class RMSProp(Optimizer):
    """Each weight has a learning rate of its own: divided by the root mean square of its recent gradients.

    Parameters
    ----------
    learning_rate : float or callable
        About the change of each weight per step.
    rho : float
        How much of the old mean is kept at each step.
    epsilon : float
        Added to the mean square, so that nothing is divided by zero.

    Examples
    --------
    >>> RMSProp(learning_rate=0.1, rho=0.0).step(np.array([1.0, 1.0]), np.array([100.0, 0.01])).round(3)
    array([0.9, 0.9])

    References
    ----------
    T. Tieleman, G. Hinton, "Lecture 6.5: RMSProp", *Neural Networks for Machine Learning*, Coursera, 2012.

    Lesson: 05
    """

    learning_rate: float | Schedule = 0.001
    rho: float = 0.9
    epsilon: float = 1e-7
    mean_square: Any = field(default=0.0, init=False)

    def change(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        self.mean_square = self.rho * self.mean_square + (1 - self.rho) * gradient**2
        return -rate * gradient / np.sqrt(self.mean_square + self.epsilon)


@dataclass
class Adam(Optimizer):
    """The mean of recent gradients, divided by the root of the mean of their squares.

    Parameters
    ----------
    learning_rate : float or callable
        About the greatest change of a weight per step.
    beta_1, beta_2 : float
        How much of the old mean, and of the old mean square, is kept at each step.
    epsilon : float
        Added to the root, so that nothing is divided by zero.

    Examples
    --------
    >>> Adam(learning_rate=0.1).step(np.array([1.0, 1.0]), np.array([100.0, -0.01])).round(3)
    array([0.9, 1.1])

    References
    ----------
    D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Lesson: 05
    """

    learning_rate: float | Schedule = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    mean: Any = field(default=0.0, init=False)
    mean_square: Any = field(default=0.0, init=False)

    def change(self, gradient: np.ndarray, rate: float) -> np.ndarray:
        self.mean = self.beta_1 * self.mean + (1 - self.beta_1) * gradient
        self.mean_square = self.beta_2 * self.mean_square + (1 - self.beta_2) * gradient**2
        n = self.iterations + 1
        # Both means began at zero and are too small at first; this much.
        correction = math.sqrt(1 - self.beta_2**n) / (1 - self.beta_1**n)
        return -rate * correction * self.mean / (np.sqrt(self.mean_square) + self.epsilon)


@dataclass
class AdamW(Adam):
    """Adam, and all weights shrink a little at each step.

    Parameters
    ----------
    learning_rate : float or callable
        About the greatest change of a weight per step.
    beta_1, beta_2, epsilon : float
        As in `Adam`.
    weight_decay : float
        The part of a weight that goes at each step, times the learning rate.

    Examples
    --------
    >>> AdamW(learning_rate=0.1, weight_decay=0.5).step(np.array([1.0]), np.array([0.0]))
    array([0.95])

    References
    ----------
    I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Lesson: 05
    """

    weight_decay: float = 0.004

    def step(self, weights: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """Return the weights after they shrank and one step."""
        return super().step(weights * (1 - self.rate() * self.weight_decay), gradient)


# --- schedules ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step.

    Examples
    --------
    >>> Constant(0.1)(1000)
    0.1

    Lesson: 05
    """

    learning_rate: float

    def __call__(self, step: int) -> float:
        return self.learning_rate


@dataclass(frozen=True)
class ExponentialDecay:
    """A learning rate that is multiplied by `decay_rate` every `decay_steps` steps, evenly or in jumps.

    Parameters
    ----------
    initial_learning_rate : float
        At step 0.
    decay_steps : int
        Steps between two multiplications.
    decay_rate : float
        The factor, such as 0.5.
    staircase : bool
        True: all of it at once, after `decay_steps`. False: a little at each step.

    Examples
    --------
    >>> halving = ExponentialDecay(0.8, decay_steps=100, decay_rate=0.5)
    >>> halving(0), halving(200)
    (0.8, 0.2)

    Lesson: 05
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __call__(self, step: int) -> float:
        times = step // self.decay_steps if self.staircase else step / self.decay_steps
        return self.initial_learning_rate * self.decay_rate**times


@dataclass(frozen=True)
class PiecewiseConstantDecay:
    """A learning rate in steps: one value up to each boundary, included, and one after the last.

    Parameters
    ----------
    boundaries : sequence of int
        Rising step counts.
    values : sequence of float
        One more than there are boundaries.

    Raises
    ------
    ValueError
        When their numbers do not fit.

    Examples
    --------
    >>> steps = PiecewiseConstantDecay([100, 200], [1.0, 0.1, 0.01])
    >>> steps(100), steps(101), steps(500)
    (1.0, 0.1, 0.01)

    Lesson: 05
    """

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"There are {len(self.boundaries)} boundaries and {len(self.values)} values; expected "
                f"{len(self.boundaries) + 1} values."
            )

    def __call__(self, step: int) -> float:
        return self.values[int(np.searchsorted(self.boundaries, step))]


@dataclass(frozen=True)
class CosineDecay:
    """A learning rate that falls along half a cosine wave, after a straight climb if there is a warm-up.

    Parameters
    ----------
    initial_learning_rate : float
        At step 0.
    decay_steps : int
        Steps of the fall.
    alpha : float
        What is left at its end, as a part of its beginning.
    warmup_target : float, optional
        Where the climb ends and the fall begins; no climb when left out.
    warmup_steps : int
        Steps of the climb.

    Examples
    --------
    >>> fall = CosineDecay(1.0, decay_steps=100)
    >>> fall(0), round(fall(50), 6), fall(100)
    (1.0, 0.5, 0.0)
    >>> CosineDecay(0.0, decay_steps=100, warmup_target=1.0, warmup_steps=10)(5)
    0.5

    References
    ----------
    I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017.

    Lesson: 05
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_target: float | None = None
    warmup_steps: int = 0

    def __call__(self, step: int) -> float:
        top = self.initial_learning_rate
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            top, step = self.warmup_target, step - self.warmup_steps
        wave = 0.5 * (1 + math.cos(math.pi * min(step / self.decay_steps, 1.0)))
        return top * ((1 - self.alpha) * wave + self.alpha)


# --- the walk -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Path:
    """Where a descent went, and what it cost.

    Parameters
    ----------
    weights : ndarray, shape (n_points, ...)
        The weights at each point that was kept, the start first and the end last.
    losses : ndarray, shape (n_points,)
        The loss of *all* clips there, in nats per clip.
    work : ndarray of int, shape (n_points,)
        Clips seen until then: one gradient of one clip is the unit of work.
    steps : ndarray of int, shape (n_points,)
        Steps taken until then.

    Lesson: 05
    """

    weights: np.ndarray
    losses: np.ndarray
    work: np.ndarray
    steps: np.ndarray

    @property
    def end(self) -> np.ndarray:
        """The last weights."""
        return self.weights[-1]

    def __len__(self) -> int:
        return len(self.losses)

    def __repr__(self) -> str:
        return (
            f"Path({self.steps[-1]} steps, {self.work[-1]} clips seen, loss {self.losses[0]:.3f} to "
            f"{self.losses[-1]:.3f})"
        )


def minimise(
    objective: Objective,
    start: np.ndarray,
    *,
    optimizer: Optimizer,
    batch_size: int | None = None,
    epochs: float = 1.0,
    rng: np.random.Generator | None = None,
    n_points: int = 100,
) -> Path:
    """Walk down a loss, and return the whole path with the work it took.

    Parameters
    ----------
    objective : Objective
        The loss and its gradient.
    start : array
        The first weights; they stay as they are.
    optimizer : Optimizer
        How a gradient becomes a step. A fresh copy is used, without memory of earlier walks.
    batch_size : int, optional
        Clips per step: all when left out (full-batch descent), 1 for stochastic, in between for mini-batch
        descent. The clips come in a new order in each epoch.
    epochs : float
        How often all clips are seen; 0.5 is half of them.
    rng : numpy.random.Generator, optional
        Draws the order; not needed for the full batch.
    n_points : int
        About how many points of the path are kept, evenly over the work. The loss of all clips is computed
        there, which is not counted as work.

    Returns
    -------
    Path
        It ends early, with the last finite loss, when the weights have run away to infinity.

    Raises
    ------
    ValueError
        When the batch size is not from 1 to the number of clips, or there is nothing to draw an order with.

    Examples
    --------
    >>> minimise(Bowl(np.array([1.0, 10.0])), np.ones(2), optimizer=SGD(0.1), epochs=50)
    Path(50 steps, 50 clips seen, loss 5.500 to 0.000)

    Lesson: 05
    """
    n_clips = len(objective)
    batch_size = n_clips if batch_size is None else batch_size
    if not 1 <= batch_size <= n_clips:
        raise ValueError(f"batch_size is {batch_size}; expected 1 to {n_clips}, the number of clips.")
    if batch_size < n_clips and rng is None:
        raise ValueError("Batches are drawn at random; pass rng=np.random.default_rng(0).")
    optimizer = replace(optimizer)  # the same settings, nothing remembered
    total = round(epochs * n_clips)
    weights = np.array(start, float)
    points, losses, works, steps = [weights], [objective.loss(weights)], [0], [0]
    work = step = 0
    with np.errstate(over="ignore", invalid="ignore"):  # what runs away is told of by the path
        while work < total:
            for rows in _batches(n_clips, batch_size, rng):
                weights = optimizer.step(weights, objective.gradient(weights, rows))
                work += n_clips if isinstance(rows, slice) else len(rows)
                step += 1
                due = works[-1] + total / n_points
                if work >= min(due, total):
                    loss = objective.loss(weights)
                    if not math.isfinite(loss):
                        total = 0
                        break
                    for kept, value in ((points, weights), (losses, loss), (works, work), (steps, step)):
                        kept.append(value)
                if work >= total:
                    break
    return Path(np.stack(points), np.array(losses), np.array(works), np.array(steps))


def _batches(n_clips: int, batch_size: int, rng: np.random.Generator | None) -> list[Rows]:
    """Return the clips of each step of one epoch; the last step takes what is left."""
    if batch_size == n_clips:
        return [_ALL]
    order = rng.permutation(n_clips)
    return [order[first : first + batch_size] for first in range(0, n_clips, batch_size)]
