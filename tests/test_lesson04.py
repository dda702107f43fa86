"""Lesson 4: checks know its solutions and the usual mistakes; the explorer and the figures tell the truth."""

import math
from pathlib import Path

import ipywidgets
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from exercises import answers_in

from asrlib import check, models, plots
from asrlib.datasets import Clip
from asrlib.features import FeatureConfig
from asrlib.plots.models import Block, block_polygons, network_blocks
from asrlib.recognizer import Recognizer
from asrlib.widgets import LayersExplorer, ModelExplorer
from asrlib.widgets.models import FAMILIES, in_pieces, measured_step, multiply_adds_per_second, tiles

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "04_building_models.ipynb"
EXERCISES = (
    "article_parameters",
    "receptive_field",
    "gate_bias",
    "lstm_step",
    "frames_first",
    "to_order",
)


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        yield
        plots.style("light")
    plt.close("all")


def answers(tag):
    return answers_in(LESSON, tag, np=np, models=models)


def hints_at(outcome, capsys, *, statement, words):
    """Assert that a check failed at a property, with a hint that has these words, and printed both."""
    printed = capsys.readouterr().out
    assert not outcome
    assert outcome.property == statement
    for word in words:
        assert word in outcome.hint
    assert printed == f"{outcome}\n"
    assert max(map(len, printed.splitlines())) <= 96


# --- the checks


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_in_the_lesson_passes(name, capsys):
    outcome = getattr(check.lesson04, name)(answers("solution")[name])
    assert outcome.ok
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson04, name)(answers("exercise")[name])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson04.__all__)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, 0.75, "7"])
def test_what_is_no_function_is_told_so(name, answer, capsys):
    outcome = getattr(check.lesson04, name)(answer)
    hints_at(outcome, capsys, statement="the answer is a function", words=["without calling"])


def article(frames, features, *, kernel=3, pool=2, bias=1):
    steps = (frames - kernel + 1) // pool
    return (3 * features + bias) * 32 + (steps * 32 + bias) * 128 + (128 + bias) * 10


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda t, n: article(t, n, bias=0), "every output has a bias", ["170 fewer"]),
        (
            lambda t, n: article(t, n, pool=1),
            "pooling halves the steps before the dense layer",
            ["24 are left"],
        ),
        (lambda t, n: article(t, n, kernel=1), "only whole overlaps of the kernel count", ["50 - 3 + 1"]),
        (lambda t, n: article(t - 1, n), "a kernel of 3 fits at n - 3 + 1 places", ["48"]),
        (lambda t, n: (3 * n + 1) * 32, "all layers count", ["alone"]),
        (
            lambda t, n: article(t, n) - (3 * n + 1) * 32 + 4 * 32,
            "a kernel reads all numbers of its frames",
            ["each of the 13"],
        ),
        (lambda t, n: 2 * article(t, n), "it counts what Keras counts", ["98432"]),
        (lambda t, n: article(50, n), "it holds for any input", ["49 frames"]),
        (lambda t, n: article(t, n) / 3, "the answer is a whole number", ["//"]),
        (lambda t, n: "many", "the answer is a number", ["many"]),
    ],
)
def test_article_parameters_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson04.article_parameters(answer), capsys, statement=statement, words=words)


def test_article_parameters_are_those_of_the_configuration():
    solution = answers("solution")["article_parameters"]
    for shape in ((50, 13), (100, 20), (33, 40)):
        assert solution(*shape) == models.count_parameters(models.ArticleCnnConfig(), input_shape=shape)


def reach(layers, hop, window, *, grow=lambda length: length - 1, late=False, steps=True):
    frames, step = 1, 1
    for length, shortens in layers:
        longer = step * shortens
        frames += grow(length) * (longer if late else step if steps else 1)
        step = longer
    return (frames - 1) * hop + window


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda lay, h, w: h * (1 + sum(k - 1 for k, _ in lay)),
            "a frame is as long as its window",
            ["0.025"],
        ),
        (
            lambda lay, h, w: reach(lay, h, w, grow=lambda k: k),
            "a convolution of 3 reaches over 3 frames",
            ["K - 1"],
        ),
        (
            lambda lay, h, w: reach(lay, h, w, steps=False),
            "after a pooling, one step is several frames",
            ["6 frames", "multiply"],
        ),
        (
            lambda lay, h, w: reach(lay, h, w, late=True),
            "a layer counts in the steps that it gets, not in those that it gives",
            ["first add"],
        ),
        (
            lambda lay, h, w: reach([(k, min(s, 2)) for k, s in lay], h, w),
            "it holds for any layers, hop and window",
            ["own factor"],
        ),
        (lambda lay, h, w: [1], "the answer is a number", ["[1]"]),
    ],
)
def test_receptive_field_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson04.receptive_field(answer), capsys, statement=statement, words=words)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda n, left: left ** (1 / n), "the answer is the bias, not the gate", ["Which b"]),
        (
            lambda n, left: -math.log(left ** (1 / n) / (1 - left ** (1 / n))),
            "a gate that keeps much has a positive bias",
            ["wrong sign"],
        ),
        (
            lambda n, left: math.log(left / n / (1 - left / n)),
            "shares multiply from step to step",
            ["n-th root"],
        ),
        (
            lambda n, left: math.log(left / (1 - left)),
            "after so many steps, that share is left",
            ["10 steps"],
        ),
        (
            lambda n, left: math.log(left ** (1 / 10) / (1 - left ** (1 / 10))),
            "after so many steps, that share is left",
            ["1 step;"],
        ),
    ],
)
def test_gate_bias_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson04.gate_bias(answer), capsys, statement=statement, words=words)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def step(x, h, c, W, U, b, *, order="ifgo", candidate=np.tanh, old_c=False, turned=False, plain=False):
    if plain:
        U = 0 * U
    quarters = dict(zip(order, np.split(x @ W + h @ U + b, 4), strict=True))
    i, f, o = (sigmoid(quarters[name]) for name in "ifo")
    new_c = f * c + i * candidate(quarters["g"])
    new_h = o * np.tanh(c if old_c else new_c)
    return (new_c, new_h) if turned else (new_h, new_c)


KEEPS = "with the input gate shut and the forget gate open, c stays"


@pytest.mark.parametrize(
    ("options", "statement", "words"),
    [
        ({"order": "figo"}, KEEPS, ["input, forget"]),
        ({"order": "ifog"}, "h is the output gate times tanh of the new c", ["last quarter"]),
        (
            {"candidate": sigmoid},
            "with the input gate open and the forget gate shut, c is the candidate",
            ["tanh(0.7)"],
        ),
        ({"turned": True}, "h comes first", ["return h, c"]),
        ({"plain": True}, "the old h enters all four sums", ["h @ U"]),
        ({"old_c": True}, "h is made of the new c", ["old one"]),
    ],
)
def test_lstm_step_knows_the_usual_mistakes(options, statement, words, capsys):
    outcome = check.lesson04.lstm_step(lambda *arrays: step(*arrays, **options))
    hints_at(outcome, capsys, statement=statement, words=words)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda x, h, c, W, U, b: h, "the answer is a pair, h and c", ["return h, c"]),
        (
            lambda x, h, c, W, U, b: (x @ W + h @ U + b,) * 2,
            "both states keep their length",
            ["quarters"],
        ),
        (
            lambda x, h, c, W, U, b: (np.tanh(step(x, h, c, W, U, b)[1]), step(x, h, c, W, U, b)[1]),
            "a shut output gate lets nothing out",
            ["-100"],
        ),
        (lambda x, h, c, W, U, b: step(h, h, c, W, U, b), "the function runs without an error", ["stops"]),
    ],
)
def test_lstm_step_says_what_is_missing(answer, statement, words, capsys):
    hints_at(check.lesson04.lstm_step(answer), capsys, statement=statement, words=words)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda bands: bands, "there is a row for each frame and a column for each band", ["(2, 3)"]),
        (lambda bands: bands.reshape(bands.shape[::-1]), "a frame keeps its own bands", ["reshape"]),
        (lambda bands: np.rot90(bands), "time and frequency run as before", ["quarter turn"]),
        (lambda bands: bands.T[:3, :2], "it holds for any picture", ["sizes that come in"]),
    ],
)
def test_frames_first_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson04.frames_first(answer), capsys, statement=statement, words=words)


def ordered(channels, pools, **options):
    return lambda: models.CnnConfig(channels=channels, pools=pools, **options)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (models.RnnConfig, "the answer is a CnnConfig", ["RnnConfig"]),
        (ordered((8,), ((2, 2),)), "it hears at least 0.3 s at once", ["85 ms"]),
        (ordered((8, 8), ((30, 2), (2, 2))), "it can be built for 50 frames of 20 bands", ["0 frames"]),
        (
            ordered((4, 8, 96), ((2, 2), (2, 2), (1, 1))),
            "it has at most 10 000 parameters",
            ["widest"],
        ),
        (
            ordered((16, 16, 16), ((2, 1), (2, 1), (2, 2))),
            "it takes at most 600 000 multiply-adds",
            ["first pooling"],
        ),
    ],
)
def test_to_order_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson04.to_order(answer), capsys, statement=statement, words=words)


# --- the explorer


@pytest.fixture
def sizer():
    return ModelExplorer(speed=1e10, measure=lambda config, **shape: 12.3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("width", "depth", "kernel"), [(4, 1, 1), (16, 2, 3), (96, 4, 11)])
def test_every_network_is_what_its_configuration_says(sizer, family, width, depth, kernel):
    still = sizer.still(family=family, width=width, depth=depth, kernel=kernel)
    result = still.result
    assert result.description.parameters == models.count_parameters(result.config, input_shape=(50, 20))
    assert f"{result.description.parameters:,} parameters" in still.text
    blocks = network_blocks(result.description)
    assert sum(block.parameters for block in blocks) == result.description.parameters
    assert sum(block.multiply_adds for block in blocks) == result.description.multiply_adds


@pytest.mark.parametrize("family", FAMILIES)
def test_each_control_changes_the_networks_that_it_is_said_to(sizer, family):
    start = sizer.still(family=family)
    for name, value in (("width", 32), ("depth", 3), ("kernel", 7), ("both", False)):
        word = "direction" if name == "both" else name
        has_no_meaning = word in start.text.split("estimated")[1].lower()
        same = sizer.still(family=family, **{name: value}).result.config == start.result.config
        assert same == has_no_meaning, (name, start.text)


def test_the_estimate_is_arithmetic(sizer):
    result = sizer.still(family="softmax regression").result
    np.testing.assert_allclose(result.estimated_ms, 1000 * 3 * 64 * 10_000 / 1e10)
    assert result.measured_ms is None


def test_a_step_is_measured_only_when_asked_for(sizer):
    asked = []
    sizer.measure = lambda config, **shape: asked.append((config, shape)) or 12.3
    assert "measured" not in sizer.still().text
    assert asked == []
    assert "12 ms measured" in sizer.still(measure=True).text
    ((config, shape),) = asked
    assert isinstance(config, models.CnnConfig)
    assert shape == {"input_shape": (50, 20), "n_classes": 10, "batch_size": 64}


def test_a_measured_step_takes_time():
    shape = {"input_shape": (10, 4), "n_classes": 3, "batch_size": 8}
    assert 0 < measured_step(models.SoftmaxConfig(), **shape) < 10_000
    assert multiply_adds_per_second(64) > 1e6


def test_what_cannot_be_built_is_said(sizer):
    short = ModelExplorer(input_shape=(3, 20), speed=1e10)
    still = short.still(family="the article's Conv1D", kernel=11)
    assert still.result.description is None
    assert "There is no such network" in still.text and "kernel_size is 11" in still.text
    assert still.png.startswith(b"\x89PNG")
    assert short.still(family="softmax regression").result.description is not None


def test_the_reach_grows_with_kernel_and_depth(sizer):
    def heard(**values):
        text = sizer.still(family="CNN", **values).text
        return int(text.split("has heard ")[1].split(" ms")[0])

    assert heard() < heard(kernel=5) < heard(kernel=5, depth=3)


def test_every_end_of_every_control_can_be_drawn(sizer):
    for family in FAMILIES:
        for name, control in sizer.inputs.items():
            if name == "family":
                continue
            ends = (True, False) if isinstance(control.value, bool) else (control.min, control.max)
            for value in ends:
                assert sizer.still(family=family, **{name: value}).png.startswith(b"\x89PNG")


def test_the_page_gets_the_picture(sizer):
    (image,) = (part for part in sizer.widget.children if isinstance(part, ipywidgets.Image))
    assert image.value == sizer.still().png
    sizer.set(family="CRNN", depth=3)
    assert image.value == sizer.still().png
    assert sizer.error is None


def test_every_number_has_its_unit(sizer):
    for control in sizer.inputs.values():
        if isinstance(control, ipywidgets.FloatSlider):
            assert "(" in control.description


# --- the explorer of layers


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    return [
        Clip(rng.normal(0, 0.1, n).astype(np.float32), label, "ann", "made", 0, "test", Path("none.flac"))
        for label, n in (("7", 9600), ("9", 12_000))
    ]


@pytest.fixture
def inside(clips):
    return LayersExplorer(Recognizer.default(), clips)


def test_a_layer_gives_what_the_network_computes(inside, clips):
    result = inside.still(clip="nine · ann", layer="conv1").result
    machine = inside.recognizer
    np.testing.assert_allclose(result.probabilities, machine.predict([clips[1].samples])[0], atol=1e-5)
    assert result.values.shape == machine.network.trace(result.window[None])[inside.layers["conv1"]].shape[1:]
    assert inside.sound(result) is clips[1].samples


def test_every_layer_with_a_time_axis_can_be_shown(inside):
    assert {"conv1", "gru"} <= set(inside.layers)
    assert not {"summary", "logits", "probabilities"} & set(inside.layers)
    for layer in inside.layers:
        assert inside.still(layer=layer, pieces=0.02).png.startswith(b"\x89PNG")


def test_pieces_are_the_same_sound_in_another_order():
    sound = np.arange(1, 16_001, dtype=np.float32)
    shuffled = in_pieces(sound, 0.1, seed=3)
    assert shuffled.shape == sound.shape
    rows = shuffled.reshape(10, 1600)
    order = np.argsort(rows[:, 800])
    assert order.tolist() != list(range(10))
    middles = slice(40, -40)  # the ends of the pieces are faded
    np.testing.assert_array_equal(rows[order][:, middles], sound.reshape(10, 1600)[:, middles])
    np.testing.assert_array_equal(shuffled, in_pieces(sound, 0.1, seed=3))
    assert not np.array_equal(shuffled, in_pieces(sound, 0.1, seed=4))
    assert in_pieces(sound, math.inf) is sound


def test_tiles_put_the_first_channel_at_the_upper_left():
    values = np.zeros((5, 4, 3))
    values[0, 3, 0] = 1  # the first moment, the highest band
    picture = tiles(values, columns=2)
    assert picture.shape == (10, 12)
    assert picture[8, 0] == 1
    assert np.isnan(picture[:, 5]).all()


def test_the_layers_want_a_clip():
    with pytest.raises(ValueError, match="no clip"):
        LayersExplorer(Recognizer.default(), [])


def test_the_page_gets_the_picture_of_the_layer(inside):
    (image,) = (part for part in inside.widget.children if isinstance(part, ipywidgets.Image))
    assert image.value == inside.still().png
    inside.set(layer="gru", pieces=0.1)
    assert image.value == inside.still().png
    assert inside.error is None


# --- the figures


def test_blocks_take_layers_together():
    blocks = network_blocks(models.describe(models.CrnnConfig(head="attention"), input_shape=(100, 20)))
    assert [block.name for block in blocks] == [
        "features",
        "conv1",
        "conv2",
        "projection",
        "gru",
        "attention",
        "logits",
    ]
    kinds = [block.kind for block in blocks]
    assert kinds == ["input", "convolution", "convolution", "dense", "recurrent", "dense", "dense"]
    assert blocks[2].shape == (25, 5, 32)


def test_a_block_is_as_wide_as_its_time_and_has_sheets_for_its_channels():
    wide, narrow = Block("a", "input", (100, 20), 0), Block("b", "convolution", (50, 20, 16), 9)
    polygons, colors, edges = block_polygons([wide, narrow])
    assert len(polygons) == len(colors) == 1 + 5
    assert np.ptp(polygons[0][:, 0]) > np.ptp(polygons[1][:, 0])
    assert edges[0][1] < edges[1][0]


def test_architecture_names_every_block():
    ax = plots.architecture(models.describe(models.ArticleCnnConfig(), input_shape=(50, 13)))
    labels = [text.get_text().split("\n")[0] for text in ax.texts]
    assert [label for label in labels if label] == ["features", "conv1", "flatten", "hidden", "logits"]
    assert "conv1 24 × 32" in plots.alt_text(ax)


def test_signed_pictures_share_their_scale_unless_told_otherwise():
    named = {"small": np.full((5, 4), 0.1), "large": np.full((5, 4), -2.0)}
    limits = [axes.images[0].get_clim() for axes in plots.signed_pictures(named).axes]
    assert limits == [(-2, 2), (-2, 2)]
    limits = [axes.images[0].get_clim() for axes in plots.signed_pictures(named, own_scale=True).axes]
    assert limits == [(-0.1, 0.1), (-2, 2)]
    with pytest.raises(ValueError, match="no picture"):
        plots.signed_pictures({})


def test_purple_is_above_zero():
    image = plots.signed_pictures({"a": np.array([[1.0, -1.0]])}).axes[0].images[0]
    above, below = image.to_rgba(np.array([1.0, -1.0]))
    assert above[2] > above[0] and below[0] > below[2]


def test_kernels_run_with_time_to_the_right_and_pitch_upwards():
    kernel = np.zeros((3, 3, 1, 2))
    kernel[2, 0] = 1  # late and low
    image = plots.kernels(kernel).axes[0].images[0]
    assert image.origin == "lower"
    np.testing.assert_array_equal(image.get_array(), [[0, 0, 1], [0, 0, 0], [0, 0, 0]])
    with pytest.raises(ValueError, match="over one picture"):
        plots.kernels(np.zeros((3, 3, 4, 2)))


def test_activations_show_the_channels_asked_for():
    maps = np.random.default_rng(0).random((25, 5, 8))
    figure = plots.activations(maps, seconds=1.0, channels=[7, 2])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["7", "2"]
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), maps[:, :, 7].T)
    assert figure.axes[0].images[0].get_extent()[1] == 1.0


def test_states_are_sorted_by_when_they_are_strongest():
    values = np.zeros((4, 3))
    values[3, 0] = values[0, 1] = values[1, 2] = 1
    ax = plots.states(values, hop_seconds=0.02)
    np.testing.assert_array_equal(ax.images[0].get_array(), values[:, [1, 2, 0]].T)


def test_answers_want_a_label_each():
    with pytest.raises(ValueError, match="3 probabilities came with 10"):
        plots.answer_over_time(np.ones((5, 3)), hop_seconds=0.02)


def test_gradients_lie_before_the_end():
    ax = plots.gradient_reach({"a": np.array([1e-3, 1e-2, 1.0])}, hop_seconds=0.5)
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [-1, -0.5, 0])
    assert ax.get_yscale() == "log"
    assert "falls to 1e-03" in plots.alt_text(ax)
    with pytest.raises(ValueError, match="no curve"):
        plots.gradient_reach({}, hop_seconds=0.5)


def test_whole_clips_stand_apart_from_pieces():
    ax = plots.accuracy_by_pieces({"a": {20: 0.2, 160: 0.5, math.inf: 0.9}}, chance=0.1)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [20, 50])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [90])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["20", "160", "whole"]
    with pytest.raises(ValueError, match="no curve"):
        plots.accuracy_by_pieces({})


def test_layers_are_aligned_in_time():
    layers = {"conv1": np.ones((25, 5, 8)), "gru": -np.ones((13, 6)), "probabilities": np.eye(10)[3]}
    figure = plots.through_layers(np.ones((50, 20)), layers, config=FeatureConfig(n_mels=20))
    pictures = figure.axes[:3]
    assert {axes.get_xlim() for axes in pictures} == {(0.0, 0.5)}
    assert {axes.images[0].get_extent()[1] for axes in pictures} == {0.5}
    assert "The answer is 3" in plots.alt_text(figure)


@pytest.mark.parametrize("theme", ["light", "dark", "clear"])
def test_every_figure_can_be_drawn_in_every_theme(theme):
    plots.style(theme)
    drawn = [
        plots.architecture(models.describe(models.CnnConfig())).figure,
        plots.unrolled().figure,
        plots.activations(np.ones((5, 4, 3))),
        plots.kernels(np.ones((3, 3, 4))),
        plots.signed_pictures({"a": np.eye(3)}),
    ]
    for figure in drawn:
        figure.canvas.draw()
        assert plots.alt_text(figure if figure.axes[0] not in plots.common._descriptions else figure.axes[0])
