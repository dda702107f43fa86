"""The numbers behind each figure, its words, and whether its colours can be seen."""

import importlib
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from asrlib import features, plots
from asrlib.evaluation import NoiseRow, by_group, wilson_interval
from asrlib.features import FeatureConfig
from asrlib.plots import common

THEMES = {"light": ["#ffffff"], "dark": ["#111111"], "clear": ["#ffffff", "#111111"]}


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        yield
        plots.style("light")
    plt.close("all")


def sound(seconds=0.6):
    return np.random.default_rng(0).normal(0, 0.1, int(16_000 * seconds)).astype(np.float32)


def noise_rows():
    counted = [(20.0, "20 dB", 190), (np.inf, "no noise", 198), (0.0, "0 dB", 100)]
    return [NoiseRow(name, 200, right, wilson_interval(right, 200), db) for db, name, right in counted]


def texts(ticks):
    return [tick.get_text() for tick in ticks]


def contrast(one, other):
    """Contrast ratio of the Web Content Accessibility Guidelines 2.2."""

    def luminance(color):
        channels = np.array(to_rgb(color))
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    light, dark = sorted([luminance(one), luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    "file", sorted(Path(plots.__file__).parent.glob("[a-z]*.py")), ids=lambda file: file.stem
)
def test_every_figure_is_reached_from_plots(file):
    module = importlib.import_module(f"asrlib.plots.{file.stem}")
    names = {"COLORS", "alt_text", "style"} if module is common else set(module.__all__)
    assert names <= set(plots.__all__), f"name them in asrlib/plots/__init__.py: {names - set(plots.__all__)}"
    for name in names:
        assert getattr(plots, name) is getattr(module, name)
    assert getattr(plots, file.stem) is module


@pytest.mark.parametrize("theme", THEMES)
def test_text_and_colours_stand_out_from_every_background(theme):
    look = common.LOOKS[theme]
    for background in THEMES[theme]:
        # 4.5 for text and 3 for graphics; without a background of its own 4.34 is the most a grey can reach.
        assert contrast(look.ink, background) >= (4.33 if theme == "clear" else 7)
        for color in (*look.colors, look.quiet):
            assert contrast(color, background) >= 3


@pytest.mark.parametrize("theme", THEMES)
def test_style_reaches_new_axes_and_the_callers(theme):
    plots.style(theme)
    look = common.LOOKS[theme]
    own = plots.waveform(sound())
    assert own.figure.get_facecolor() == mpl.colors.to_rgba(look.face)
    for ax in (own, plots.waveform(sound(), ax=Figure().subplots())):
        assert ax.xaxis.label.get_color() == look.ink
        assert {tick.get_color() for tick in ax.get_xticklabels()} == {look.ink}
        assert not ax.spines["top"].get_visible()
        assert ax.lines[0].get_color() == look.colors[0]


def test_drawing_leaves_the_callers_settings_alone():
    before = dict(mpl.rcParams)
    plots.waveform(sound())
    plots.chain(sound(), features=features.log_mel(sound()), probabilities=np.eye(10)[3])
    assert dict(mpl.rcParams) == before


def test_unknown_theme_is_refused():
    with pytest.raises(ValueError, match="light, dark, clear"):
        plots.style("pink")


def test_waveform_draws_every_sample_at_its_time():
    samples = sound()
    ax = plots.waveform(samples, sample_rate=8000, start_seconds=2.0)
    seconds, amplitude = ax.lines[0].get_data()
    np.testing.assert_array_equal(amplitude, samples)
    np.testing.assert_allclose(seconds, 2 + np.arange(len(samples)) / 8000)
    assert ax.get_xlim() == pytest.approx((2.0, 2.0 + len(samples) / 8000))
    low, high = ax.get_ylim()
    assert low == -high < -np.abs(samples).max()
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (s)", "amplitude")


@pytest.mark.parametrize("center", [False, True])
def test_log_mel_puts_frames_at_their_times_and_bands_at_their_frequencies(center):
    config = FeatureConfig(center=center)
    values = features.log_mel(sound(), config)
    ax = plots.log_mel(values, config=config)
    image = ax.images[0]
    np.testing.assert_array_equal(image.get_array(), values.T)
    assert image.origin == "lower"
    left, right, bottom, top = image.get_extent()
    times = config.times(len(values))
    assert (left, right) == pytest.approx((times[0] - 0.005, times[-1] + 0.005))
    assert (bottom, top) == (-0.5, 39.5)
    peaks = config.band_frequencies()
    for band, label in zip(ax.get_yticks(), texts(ax.get_yticklabels()), strict=True):
        assert np.interp(band, np.arange(40), peaks) == pytest.approx(float(label), rel=1e-6)
    assert {"500", "1000", "2000", "4000"} <= set(texts(ax.get_yticklabels()))
    assert np.abs(np.diff(ax.get_yticks())).min() > 4


def test_log_mel_names_the_bands_of_both_pictures():
    config = features.FeatureConfig(n_mels=20, normalization="both")
    values = features.extract(sound(), config)
    values[30, 27] = values.max() + 1  # in the second picture
    ax = plots.log_mel(values, config=config)
    places, labels = ax.get_yticks(), texts(ax.get_yticklabels())
    half = len(places) // 2
    np.testing.assert_allclose(places[half:], places[:half] + 20)
    assert labels[half:] == labels[:half]
    assert f"about {config.band_frequencies()[7]:.0f} Hz" in plots.alt_text(ax)
    assert "20 mel bands, without its level below and without its mean above," in plots.alt_text(ax)


def test_log_mel_shows_at_most_70_decibels():
    loud = features.log_mel(np.concatenate([sound(), np.zeros(8000, np.float32)]))
    low, high = plots.log_mel(loud).images[0].get_clim()
    assert high == pytest.approx(loud.max())
    assert (high - low) * 10 / np.log(10) == pytest.approx(70)
    assert plots.log_mel(loud, limits=(-5, 5)).images[0].get_clim() == (-5, 5)
    silence = features.log_mel(np.zeros(8000, np.float32))
    low, high = plots.log_mel(silence).images[0].get_clim()
    assert low < high


def test_log_mel_has_a_colour_scale_only_in_its_own_figure():
    values = features.log_mel(sound())
    assert len(plots.log_mel(values).figure.axes) == 2
    ax = Figure().subplots()
    assert plots.log_mel(values, ax=ax) is ax
    assert len(ax.figure.axes) == 1


def test_cepstral_coefficients_have_colours_around_zero():
    config = FeatureConfig(kind="mfcc")
    ax = plots.log_mel(features.extract(sound(), config), config=config)
    low, high = ax.images[0].get_clim()
    assert low == -high
    assert ax.get_ylabel() == "coefficient"
    assert "cepstral" in plots.alt_text(ax)


def test_features_of_another_configuration_are_refused():
    with pytest.raises(ValueError, match="40 coefficients and the configuration says 64"):
        plots.log_mel(features.log_mel(sound()), config=FeatureConfig(n_mels=64))
    with pytest.raises(ValueError, match="single recording"):
        plots.log_mel(features.log_mel(np.stack([sound()] * 2)))


def test_probabilities_mark_the_winner_alone():
    values = np.array([0.05, 0.1, 0.7, 0.15])
    ax = plots.probabilities(values, labels=["a", "b", "c", "d"])
    np.testing.assert_allclose([bar.get_height() for bar in ax.patches], values)
    assert len({bar.get_facecolor() for bar in ax.patches}) == 2
    assert ax.patches[2].get_facecolor() not in {ax.patches[i].get_facecolor() for i in (0, 1, 3)}
    assert texts(ax.get_xticklabels()) == ["a", "b", "c", "d"]
    assert [text for text in texts(ax.texts) if text] == ["70 %"]
    assert plots.alt_text(ax) == (
        'Bar chart of 4 probabilities. The highest is "c" with 70 %, then "d" with 15 %.'
    )


def test_a_mapping_brings_its_labels():
    ax = plots.probabilities({"stop": 0.25, "go": 0.75})
    assert texts(ax.get_xticklabels()) == ["stop", "go"]


@pytest.mark.parametrize("values", [np.ones(9) / 9, np.full(10, np.nan), np.full(10, -0.1), np.full(10, 1.5)])
def test_impossible_probabilities_are_refused(values):
    with pytest.raises(ValueError, match=r"[Pp]robabilities"):
        plots.probabilities(values)


def chain_of(samples, **options):
    return plots.chain(samples, features=features.log_mel(samples), probabilities=np.eye(10)[4], **options)


def test_chain_shows_all_four_stages_of_one_sound():
    samples = sound()
    figure = chain_of(samples)
    wave, picture, bars, written = figure.axes
    np.testing.assert_array_equal(wave.lines[0].get_ydata(), samples)
    np.testing.assert_array_equal(picture.images[0].get_array(), features.log_mel(samples).T)
    assert wave.get_xlim() == picture.get_xlim() == pytest.approx((0, 0.6))
    assert np.argmax([bar.get_height() for bar in bars.patches]) == 4
    assert texts(written.texts) == ["4"]
    description = plots.alt_text(figure)
    for part in ("Waveform", "mel bands", 'highest is "4"', 'writes "4"'):
        assert part in description


def test_chain_writes_given_text_and_reuses_a_figure():
    figure = Figure(figsize=(9, 4))
    for text in ("five", "six"):
        assert chain_of(sound(), text=text, figure=figure) is figure
    assert len(figure.axes) == 4
    assert texts(figure.axes[3].texts) == ["six"]


@pytest.mark.parametrize(
    "labels", [tuple("0123456789"), ("yes no up down left right stop go " + "on off").split()]
)
def test_nothing_in_the_chain_overlaps_or_leaves_the_figure(labels):
    figure = chain_of(sound(), labels=labels)
    figure.canvas.draw()
    whole = figure.bbox
    boxes = [ax.get_tightbbox() for ax in figure.axes]
    for i, box in enumerate(boxes):
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_confusion_writes_counts_and_colours_shares():
    matrix = np.array([[6, 2, 0], [0, 0, 0], [1, 0, 9]])
    ax = plots.confusion(matrix, labels=["a", "b", "c"])
    shares = ax.images[0].get_array()
    np.testing.assert_allclose(shares, [[0.75, 0.25, 0], [0, 0, 0], [0.1, 0, 0.9]])
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "6", (1, 0): "2", (0, 2): "1", (2, 2): "9"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("answered", "said")
    assert '"a" heard as "b", 2 times' in plots.alt_text(ax)
    for text in ax.texts:
        x, y = text.get_position()
        background = ax.images[0].cmap(ax.images[0].norm(shares[y, x]))[:3]
        assert contrast(text.get_color(), background) >= 4.5


def test_confusion_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="10 labels"):
        plots.confusion(np.eye(9, dtype=int))


def test_accuracy_curve_orders_ratios_and_sets_no_noise_apart():
    ax = plots.accuracy_curve(noise_rows(), label="hum", chance=0.1)
    joined, apart, chance = ax.lines[-3:]
    np.testing.assert_allclose(joined.get_xydata(), [[0, 50], [20, 95]])
    np.testing.assert_allclose(apart.get_ydata(), [99])
    assert apart.get_xdata()[0] > 20
    assert apart.get_linestyle() == "None"
    np.testing.assert_allclose(chance.get_ydata(), 10)
    assert texts(ax.get_xticklabels()) == ["0", "20", "no noise"]
    bars = ax.containers[0].lines[2][0].get_segments()
    for segment, right in zip(bars, (100, 190, 198), strict=True):
        np.testing.assert_allclose(segment[:, 1], 100 * np.array(wilson_interval(right, 200)), atol=1e-9)
    assert texts(ax.get_legend().get_texts()) == ["hum"]


def test_two_curves_differ_in_colour_and_are_both_described():
    ax = plots.accuracy_curve(noise_rows(), label="hum")
    plots.accuracy_curve(noise_rows(), label="babble", ax=ax)
    handles, names = ax.get_legend_handles_labels()
    assert names == ["hum", "babble"]
    assert handles[0].get_color() != handles[1].get_color()
    assert "of hum" in plots.alt_text(ax)
    assert "of babble" in plots.alt_text(ax)


def test_accuracy_by_group_puts_the_best_at_the_top():
    correct = np.array([True] * 9 + [False] + [True] * 6 + [False] * 4)
    ax = plots.accuracy_by_group(by_group(correct, ["theo"] * 10 + ["lucas"] * 10))
    assert texts(ax.get_yticklabels()) == ["lucas", "theo"]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [60, 90])
    low, high = ax.containers[0].lines[2][0].get_segments()[1][:, 0] / 100
    assert (low, high) == pytest.approx(tuple(wilson_interval(9, 10)))
    assert ax.get_xlim()[0] <= 100 * wilson_interval(6, 10).low


@pytest.mark.parametrize(
    ("metric", "scale", "label"), [("accuracy", 100, "accuracy (%)"), ("loss", 1, "loss")]
)
def test_history_draws_training_and_validation(metric, scale, label):
    curves = {
        "accuracy": [0.5, 0.8, 0.9],
        "val_accuracy": [0.4, 0.6, 0.7],
        "loss": [2, 1, 0.5],
        "val_loss": [2.1, 1.5, 1],
    }
    ax = plots.history(curves, metric=metric)
    for line, key in zip(ax.lines, (metric, f"val_{metric}"), strict=True):
        np.testing.assert_allclose(line.get_data(), [[1, 2, 3], scale * np.array(curves[key])])
    assert texts(ax.get_legend().get_texts()) == ["training", "validation"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", label)


def test_history_without_the_metric_is_refused():
    with pytest.raises(ValueError, match="Choose metric="):
        plots.history({"loss": [1.0]})
    assert "1 epoch:" in plots.alt_text(plots.history({"loss": [1.0]}, metric="loss"))


@pytest.mark.parametrize("function", [plots.accuracy_curve, plots.accuracy_by_group])
def test_no_rows_are_refused(function):
    with pytest.raises(ValueError, match="no row"):
        function([])


def test_only_this_module_describes():
    with pytest.raises(ValueError, match="did not draw"):
        plots.alt_text(Figure())
