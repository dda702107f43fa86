"""Lesson 5: checks know its solutions and the usual mistakes; explorer and figures tell the truth."""

import math
import re
from pathlib import Path

import ipywidgets
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from exercises import answers_in

from asrlib import check, descent, plots
from asrlib.widgets import DescentExplorer
from asrlib.widgets.descent import Player

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "05_gradient_descent.ipynb"
EXERCISES = {
    "cross_entropy": "stable_cross_entropy",
    "slope": "slope",
    "steps_needed": "steps_needed",
    "mini_batches": "mini_batches",
    "adam": "Adam",
    "warm_up": "rate_at",
}


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        yield
        plots.style("light")
    plt.close("all")


def answers(tag):
    return answers_in(LESSON, tag, np=np, math=math, descent=descent)


@pytest.mark.parametrize("name", EXERCISES)
def test_the_lessons_solution_passes(name, capsys):
    outcome = getattr(check.lesson05, name)(answers("solution")[EXERCISES[name]])
    assert outcome.ok, outcome
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_lessons_exercise_does_not_pass_yet(name, capsys):
    outcome = getattr(check.lesson05, name)(answers("exercise")[EXERCISES[name]])
    assert not outcome.ok
    assert outcome.hint
    capsys.readouterr()


def hints_at(outcome, capsys, *, statement, words=()):
    assert not outcome.ok
    assert outcome.property.startswith(statement)
    for word in words:
        assert word in outcome.hint
    assert f"not yet: {outcome.property}" in capsys.readouterr().out


def picked(scores, labels):
    return descent.softmax(scores)[np.arange(len(labels)), labels]


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda s, y: -np.log(picked(s, y)).sum(), "the loss is a mean over clips", ["sum over them"]),
        (lambda s, y: np.log(picked(s, y)).mean(), "a surprise is not negative", ["minus sign"]),
        (lambda s, y: -np.log2(picked(s, y)).mean(), "the logarithm is the natural one", ["bits"]),
        (lambda s, y: (1 - picked(s, y)).mean(), "the loss is a logarithm", ["1 minus"]),
        (lambda s, y: -s[np.arange(len(y)), y].mean(), "scores become probabilities first", ["softmax"]),
        (lambda s, y: -np.log(descent.softmax(s)[:, y[0]]).mean(), "each clip has its own label", ["row i"]),
        (lambda s, y: -np.log(picked(s, y)), "the answer is a number", ["array"]),
        (
            lambda s, y: np.mean(np.log(np.exp(s).sum(axis=1)) - s[np.arange(len(y)), y]),
            "it stands scores of 1000",
            ["largest score"],
        ),
        (lambda s, y: -np.log(picked(s, y)).mean(), "it stands scores of 1000", ["inf"]),
    ],
)
def test_cross_entropy_knows_the_usual_mistakes(answer, statement, words, capsys):
    words = [word[0].upper() + word[1:] if word == "row i" else word for word in words]
    with np.errstate(all="ignore"):
        hints_at(check.lesson05.cross_entropy(answer), capsys, statement=statement, words=words)


def error(weights, inputs, labels):
    return descent.softmax(inputs @ weights) - np.eye(weights.shape[1])[labels]


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda w, x, y: -x.T @ error(w, x, y) / len(y), "the gradient points uphill", ["p - y"]),
        (lambda w, x, y: x.T @ error(w, x, y), "it is the gradient of the mean", ["7 times"]),
        (lambda w, x, y: error(w, x, y).T @ x / len(y), "there is one slope for each weight", ["turned"]),
        (
            lambda w, x, y: x.T @ descent.softmax(x @ w) / len(y),
            "what was true is taken away",
            ["Take 1 from"],
        ),
        (
            lambda w, x, y: x.T @ (descent.softmax((x @ w).T).T - np.eye(w.shape[1])[y]) / len(y),
            "it is what finite differences measure",
            ["axis=1"],
        ),
    ],
)
def test_slope_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson05.slope(answer), capsys, statement=statement, words=words)


def steps(factor):
    if factor >= 1:
        return math.inf
    return 1 if factor <= 0.01 else math.ceil(math.log(0.01) / math.log(factor))


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda c, r: steps(abs(1 - r * np.max(c))), "the slowest weight decides", ["largest factor"]),
        (
            lambda c, r: math.log(0.01) / math.log(max(np.max(np.abs(1 - r * np.asarray(c))), 0.01)),
            "the slowest weight decides",
            ["whole step"],
        ),
        (lambda c, r: steps(np.max(1 - r * np.asarray(c))), "a weight that changes sides", ["abs"]),
        (
            lambda c, r: min(steps(np.max(np.abs(1 - r * np.asarray(c)))), 10**6),
            "what does not shrink never arrives",
            ["math.inf"],
        ),
        (
            lambda c, r: math.log(0.01) / math.log(abs(1 - r * c[0])),
            "the function runs without an error",
            ["math domain"],
        ),
    ],
)
def test_steps_needed_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson05.steps_needed(answer), capsys, statement=statement, words=words)


def test_the_number_of_steps_is_that_of_a_walk():
    count = answers("solution")["steps_needed"]
    for curvatures, rate in (([1.0, 0.1], 0.7), ([3.0], 0.6), ([2.0], 0.5)):
        path = descent.minimise(
            descent.Bowl(np.array(curvatures)),
            np.ones(len(curvatures)),
            optimizer=descent.SGD(rate),
            epochs=200,
            n_points=200,
        )
        there = np.abs(path.weights).max(axis=1) <= 0.01
        assert int(there.argmax()) == count(curvatures, rate)


def cut(features, labels, size, order, *, stop=None):
    for first in range(0, len(order) if stop is None else stop, size):
        rows = order[first : first + size]
        yield features[rows], labels[rows]


def only_features(x, y, size, rng):
    order = rng.permutation(len(y))
    yield from ((a, y[i * size : i * size + size]) for i, (a, _) in enumerate(cut(x, y, size, order)))


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (only_features, "every clip keeps its own label", ["labels alike"]),
        (
            lambda x, y, n, rng: cut(x, y, n, rng.permutation(len(y)), stop=len(y) - n),
            "every clip comes once",
            ["last batch"],
        ),
        (
            lambda x, y, n, rng: cut(x, y, n, rng.integers(0, len(y), len(y))),
            "no clip comes twice",
            ["permutation"],
        ),
        (lambda x, y, n, rng: cut(x, y, n, np.arange(len(y))), "each epoch has its own order", ["came in"]),
        (
            lambda x, y, n, rng: cut(x, y, n, np.random.default_rng(0).permutation(len(y))),
            "each epoch has its own order",
            ["once per epoch"],
        ),
        (lambda x, y, n, rng: cut(x, y, n + 1, rng.permutation(len(y))), "all batches but the last", ["5, "]),
        (lambda x, y, n, rng: iter([x]), "each batch is a pair", ["yield"]),
        (lambda x, y, n, rng: iter([]), "there are batches", ["nothing"]),
    ],
)
def test_mini_batches_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson05.mini_batches(answer), capsys, statement=statement, words=words)


class ForgetsTheRoot(descent.Adam):
    def change(self, gradient, rate):
        self.mean = 0.9 * self.mean + 0.1 * gradient
        return -rate * self.mean / (1 - 0.9 ** (self.iterations + 1))


class CorrectsOnce(descent.Adam):
    def change(self, gradient, rate):
        step = super().change(gradient, rate)
        n = self.iterations + 1
        return step * (1 - 0.9**n) / 0.1 if n > 1 else step


class Uphill(descent.Adam):
    def change(self, gradient, rate):
        return -super().change(gradient, rate)


class KeepsTooLittle(descent.Adam):
    def __init__(self, learning_rate):
        super().__init__(learning_rate, beta_2=0.9)


class MiscountsFromZero(descent.Adam):
    def change(self, gradient, rate):
        self.iterations -= 1
        try:
            return super().change(gradient, rate)
        finally:
            self.iterations += 1


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (descent.RMSProp, "the first step is as long as the learning rate", ["0.3162", "1 - beta**n"]),
        (ForgetsTheRoot, "the first step is as long as the learning rate", ["began at 0"]),
        (CorrectsOnce, "under a steady gradient", ["n counts the steps"]),
        (Uphill, "each weight goes against its gradient", []),
        (KeepsTooLittle, "every step is Adam's", ["0.999"]),
        (MiscountsFromZero, "the function runs without an error", ["ZeroDivisionError"]),
        (lambda rate: 3, "the answer is the class itself", ["step"]),
    ],
)
def test_adam_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson05.adam(answer), capsys, statement=statement, words=words)


def test_any_placing_of_epsilon_is_adam(capsys):
    assert check.lesson05.adam(descent.Adam).ok
    assert check.lesson05.adam(answers("solution")["Adam"]).ok
    capsys.readouterr()


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda s, p, c, t: p * (1 + math.cos(math.pi * s / t)) / 2, "it begins at 0", ["0.4"]),
        (lambda s, p, c, t: p * min(s / c, 1), "it falls to 0 at the end", ["step 50"]),
        (
            lambda s, p, c, t: p * s / c if s < c else p * (1 + math.cos(math.pi * s / t)) / 2,
            "it is at its peak when the climb ends",
            [],
        ),
        (
            lambda s, p, c, t: p * s / c if s < c else p * (t - s) / (t - c),
            "the fall is half a cosine",
            ["straight line"],
        ),
        (
            lambda s, p, c, t: 0.4 * s / c if s < c else 0.2 * (1 + math.cos(math.pi * (s - c) / (t - c))),
            "it holds for any peak",
            ["peak of 1"],
        ),
    ],
)
def test_warm_up_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson05.warm_up(answer), capsys, statement=statement, words=words)


# --- the explorer


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 5
    centres = rng.normal(size=(5, 12))
    return centres[labels] + rng.normal(0, 0.8, size=(90, 12)) + rng.normal(0, 1, size=(90, 1)), labels


@pytest.fixture(scope="module")
def made(clips):
    features, labels = clips
    return DescentExplorer(features, labels, others=(features[:30] + 0.1, labels[:30]), epochs=20)


@pytest.fixture
def knobs(made):
    return made


def walk(knobs, **values):
    return knobs.compute(**{**knobs.values, **values})


def test_two_weights_lie_on_the_surface(knobs):
    result = walk(knobs, weights="two", batch_size=4)
    for point, loss in zip(result.points, result.path.losses, strict=True):
        assert knobs.plane.loss(point) == pytest.approx(loss)
        assert knobs.objective.loss(knobs.plane.weights(point)) == pytest.approx(loss)


def test_all_weights_get_at_least_as_low_and_are_shown_as_shadows(knobs):
    settings = {"optimizer": "SGD", "learning_rate": 0.1, "batch_size": 0}
    result = walk(knobs, weights="all", **settings)
    np.testing.assert_allclose(result.points, knobs.plane.project(result.path.weights))
    np.testing.assert_allclose(result.points[0], knobs.start, atol=1e-9)
    assert result.path.losses[0] == pytest.approx(walk(knobs, weights="two", **settings).path.losses[0])


def test_nothing_is_lower_than_the_lowest(knobs):
    slope = knobs.objective.gradient(knobs.plane.weights(knobs.goal))
    assert np.abs(slope).max() < 1e-4
    assert knobs.surface.min() >= knobs.lowest - 1e-9
    for optimizer in knobs.inputs["optimizer"].options:
        for weights in ("two", "all"):
            result = walk(knobs, optimizer=optimizer, weights=weights, learning_rate=0.2)
            assert result.path.losses.min() >= knobs.lowest - 1e-9


def test_every_walk_does_the_same_work(knobs):
    for size in (0, 1, 4, 16, 64):
        result = walk(knobs, batch_size=size)
        assert result.path.work[-1] == 20 * 90
        assert result.batch_size == (size or 90)


def test_the_limit_it_tells_is_where_plain_descent_begins_to_diverge(knobs):
    limit = 2 / knobs.curvature
    assert f"above a rate of {limit:.2f}" in knobs.still(optimizer="SGD").text
    for share, grows in ((0.9, False), (1.1, True)):
        path = descent.minimise(
            knobs.plane,
            knobs.goal + np.array([0, 1e-3]),
            optimizer=descent.SGD(share * limit),
            epochs=8,
        )
        away = np.abs(path.weights - knobs.goal)[:, 1]
        assert (away[-1] > away[0]) == grows


def test_the_answer_says_what_has_no_meaning_and_what_diverges(knobs):
    assert "SGD has no momentum" in knobs.still(optimizer="SGD").text
    assert "beta 1, 0.90" in knobs.still(optimizer="Adam").text
    far = knobs.still(optimizer="SGD", learning_rate=5.0, weights="all", batch_size=1)
    assert far.result.path.losses[-1] > far.result.path.losses[0]
    assert "It diverges." in far.text
    text = knobs.still(optimizer="SGD", batch_size=0).text
    assert re.search(r"SGD, all clips: 20 steps, 1\W800 clips seen\.", text)
    assert re.search(r"Of 30 other clips it knows \d+ %", text)


def test_a_cosine_ends_nearer_than_the_same_rate_kept(knobs):
    ends = {
        name: walk(knobs, optimizer="SGD", learning_rate=0.3, batch_size=1, schedule=name).path.losses[-20:]
        for name in ("constant", "cosine")
    }
    assert ends["cosine"][-5:].mean() < ends["constant"].mean()


def test_compute_is_pure(knobs):
    one, two = (walk(knobs, batch_size=4) for _ in range(2))
    np.testing.assert_array_equal(one.path.weights, two.path.weights)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_end_of_every_control_can_be_drawn(theme, clips):
    plots.style(theme)
    knobs = DescentExplorer(*clips, epochs=3)
    for name, control in knobs.inputs.items():
        for value in getattr(control, "options", None) or (control.min, control.max):
            value = value[1] if isinstance(value, tuple) else value
            assert knobs.still(**{name: value}).png.startswith(b"\x89PNG")


def test_every_number_has_its_unit(knobs):
    for name, control in knobs.inputs.items():
        assert hasattr(control, "options") or name == "momentum"
    assert [label for label, _ in knobs.inputs["batch_size"].options][-1] == "all 90 clips"


def test_the_page_gets_the_picture_and_the_player_below_it(clips):
    knobs = DescentExplorer(*clips, epochs=3)
    parts = knobs.widget.children
    place = next(i for i, part in enumerate(parts) if isinstance(part, ipywidgets.Image))
    assert isinstance(parts[place + 1], Player)
    assert knobs.widget.children == parts  # asked again, not added again
    before = parts[place + 1].version
    knobs.set(learning_rate=0.3)
    assert parts[place + 1].version == before + 1
    assert parts[place].value == knobs.still(learning_rate=0.3).png


def test_the_animation_is_the_walk_at_the_pixels_of_the_picture(clips):
    knobs = DescentExplorer(*clips, epochs=3)
    still = knobs.still(optimizer="SGD", batch_size=16)
    png, rows, boxes = knobs.animation(still.result)
    assert png.startswith(b"\x89PNG") and png != still.png
    assert rows.shape == (len(still.result.path), 7) and rows.dtype == np.float32
    assert rows[0, 0] == 0 and rows[-1, 0] == 1 and (np.diff(rows[:, 0]) > 0).all()
    np.testing.assert_allclose(rows[:, 5], still.result.path.work)
    np.testing.assert_allclose(rows[:, 6], still.result.path.losses, rtol=1e-6)
    pixels = knobs.picture.pixels()
    height, width = pixels.shape[:2]
    x, y = rows[-1, 1] * width, rows[-1, 2] * height
    around = pixels[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3, :3].reshape(-1, 3)
    color = 255 * np.array(mpl.colors.to_rgb("#b53a00"))
    assert np.abs(around - color).sum(axis=1).min() < 30  # the end's dot is there
    for left, top, right, bottom in boxes:
        assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    assert (np.abs(rows) < 1e7).all()
    knobs.picture.pixels()
    assert all(artist.get_visible() for artist in knobs.picture.moving)


def test_the_player_is_answered_with_the_walk_that_is_shown(clips, monkeypatch):
    knobs = DescentExplorer(*clips, epochs=3)
    (player,) = (part for part in knobs.widget.children if isinstance(part, Player))
    sent = []
    monkeypatch.setattr(Player, "send", lambda self, content, buffers: sent.append((content, buffers)))
    player._handle_custom_msg({"kind": "walk"}, [])
    ((content, buffers),) = sent
    assert content["version"] == player.version
    assert len(buffers[1]) == 4 * 7 * len(knobs.result.path)
    player._handle_custom_msg({"kind": "other"}, [])
    assert len(sent) == 1


# --- the figures


def path_of(losses, work, steps):
    return descent.Path(np.zeros((len(losses), 1)), np.array(losses, float), np.array(work), np.array(steps))


def test_loss_is_drawn_over_work_or_steps():
    path = path_of([2, 1, 0.6], [0, 100, 200], [0, 1, 2])
    ax = plots.loss_against_work({"a": path, "b": path}, clips_per_epoch=100)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0, 1, 2])
    assert ax.get_xlabel() == "work (epochs)"
    assert plots.alt_text(ax) == "Loss against work for 2 walks: a ends at 0.60; b ends at 0.60."
    ax = plots.loss_against_work({"a": path}, by="steps", lowest=0.5)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [1.5, 0.5, 0.1])
    assert ax.get_yscale() == "log"
    with pytest.raises(ValueError, match="no path"):
        plots.loss_against_work({})
    with pytest.raises(ValueError, match="seconds"):
        plots.loss_against_work({"a": path}, by="seconds")


def test_curves_can_be_told_apart_without_colour():
    path = path_of([2, 1], [0, 100], [0, 1])
    ax = plots.loss_against_work({str(i): path for i in range(4)})
    assert len({str(line.get_linestyle()) + str(line._unscaled_dash_pattern) for line in ax.lines}) == 4


def test_the_surface_has_its_paths_and_says_where_they_end():
    grid = np.linspace(-2, 2, 9)
    losses = (grid - 1) ** 2 + grid[:, None] ** 2
    ax = plots.loss_surface(
        losses, across=grid, up=grid, paths={"here": np.array([[0, 0], [1.0, -0.01]])}, names=("one", "two")
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("one", "two")
    assert plots.alt_text(ax) == "Map of a loss, lowest at 1.0 and 0.0. here ends at 1.0 and 0.0."
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0, 1])
    with pytest.raises(ValueError, match=r"\(9, 9\)"):
        plots.loss_surface(losses, across=grid, up=grid[:4])


def test_digit_pictures_share_their_colours():
    pictures = np.random.default_rng(0).normal(size=(10, 8, 20))
    figure = plots.digit_pictures(pictures)
    assert len(figure.axes) == 10
    assert len({axes.images[0].get_clim() for axes in figure.axes}) == 1
    np.testing.assert_array_equal(figure.axes[3].images[0].get_array(), pictures[3].T)
    with pytest.raises(ValueError, match="2 titles for 10"):
        plots.digit_pictures(pictures, titles=["a", "b"])


def test_bowls_show_every_step():
    path = descent.minimise(descent.Bowl(np.array([2.0])), np.ones(1), optimizer=descent.SGD(0.9), epochs=5)
    figure = plots.steps_in_a_bowl({"a": path, "b": path}, curvature=2.0)
    assert len(figure.axes) == 2
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), path.losses)
    with pytest.raises(ValueError, match="no path"):
        plots.steps_in_a_bowl({}, curvature=1.0)
