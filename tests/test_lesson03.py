"""Lesson 3: checks know its solutions and the usual mistakes; explorers and figures tell the truth."""

import itertools
import math
from pathlib import Path

import ipywidgets
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.fft
from exercises import answers_in

from asrlib import audio, check, features, plots
from asrlib.features import FeatureConfig
from asrlib.widgets import MfccExplorer, TimeFrequencyExplorer
from asrlib.widgets.explorer import Explorer, slider
from asrlib.widgets.spectra import resynthesize

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "03_from_waveform_to_mfcc.ipynb"
EXERCISES = {
    "count_frames": "count_frames",
    "corners": "corners",
    "change_of_c0": "change_of_c0",
    "delta": "delta",
    "log_bands": "log_bands",
    "explorer": "TwoTones",
}


@pytest.fixture(autouse=True)
def fresh_figures():
    with mpl.rc_context():
        yield
        plots.style("light")
    plt.close("all")


def answers(tag):
    return answers_in(
        LESSON,
        tag,
        np=np,
        scipy=scipy,
        Explorer=Explorer,
        slider=slider,
        RATE=16_000,
        hann=lambda length: features.window("hann", length),
        spectrum_of=spectrum_of,
    )


def spectrum_of(apart):
    """The lesson's own, for explorers of these tests."""
    tones = sum(np.sin(2 * np.pi * hz * np.arange(400) / 16_000) for hz in (1000, 1000 + apart))
    power = np.abs(scipy.fft.rfft(tones * features.window("hann", 400), 2048)) ** 2
    return 10 * np.log10(power + 1e-9)[:260]


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
    outcome = getattr(check.lesson03, name)(answers("solution")[EXERCISES[name]])
    assert outcome.ok
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson03, name)(answers("exercise")[EXERCISES[name]])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson03.__all__)


@pytest.mark.parametrize("name", sorted(set(EXERCISES) - {"explorer"}))
@pytest.mark.parametrize("answer", [None, 0.75, "7"])
def test_what_is_no_function_is_told_so(name, answer, capsys):
    outcome = getattr(check.lesson03, name)(answer)
    hints_at(outcome, capsys, statement="the answer is a function", words=["without calling"])


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda n, w, h, r: n // round(w * r), "frames overlap", ["side by side"]),
        (lambda n, w, h, r: n // round(h * r), "only whole frames count", ["subtract the window"]),
        (lambda n, w, h, r: (n - round(w * r)) // round(h * r), "the first frame counts too", ["Add 1"]),
        (lambda n, w, h, r: 1 + (n - w * r) / (h * r), "the answer is a whole number", ["//"]),
        (
            lambda n, w, h, r: 1 + (n - round(w * r)) // round(h * r),
            "a sound shorter than one window has no frame",
            ["-1", "greater"],
        ),
        (
            lambda n, w, h, r: max(0, 1 + (n - round(w * 16_000)) // round(h * 16_000)),
            "it holds for any window, hop and sample rate",
            ["rate that comes in"],
        ),
    ],
)
def test_count_frames_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson03.count_frames(answer), capsys, statement=statement, words=words)


def mel(hz):
    return 2595 * np.log10(1 + hz / 700)


def hz(mel):
    return 700 * (10 ** (mel / 2595) - 1)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda b, lo, hi: hz(np.linspace(mel(lo), mel(hi), b)),
            "each triangle has its own peak and reaches to its neighbours' peaks",
            ["8 corners", "neighbours"],
        ),
        (
            lambda b, lo, hi: np.linspace(lo, hi, b + 2),
            "the corners lie at equal steps in mel",
            ["scale of Hz"],
        ),
        (
            lambda b, lo, hi: hz(np.linspace(mel(hi), mel(lo), b + 2)),
            "the corners rise",
            ["f_min"],
        ),
        (
            lambda b, lo, hi: features.mel_to_hz(
                np.linspace(features.hz_to_mel(lo), features.hz_to_mel(hi), b + 2)
            ),
            "the scale is HTK's",
            ["Slaney"],
        ),
        (
            lambda b, lo, hi: hz(np.linspace(mel(lo), mel(hi), b + 3)[1:]),
            "the first corner is f_min and the last is f_max",
            ["Include both"],
        ),
    ],
)
def test_corners_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson03.corners(answer), capsys, statement=statement, words=words)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda g, b: g, "a gain of 1 changes nothing", ["ln 1 is 0"]),
        (
            lambda g, b: np.log(g) * np.sqrt(b),
            "power goes with the square of the amplitude",
            ["half of what"],
        ),
        (lambda g, b: 2 * np.log(g), "c[0] adds up all bands", ["one band"]),
        (lambda g, b: 2 * np.log(g) * b, "the cosine of c[0] has length 1", ["root of 1/B"]),
        (
            lambda g, b: 20 * np.log10(g) * np.sqrt(b),
            "the logarithm is the natural one",
            ["decibels"],
        ),
        (
            lambda g, b: 2 * np.log(g) * np.sqrt(40),
            "it is what the chain of stages does",
            ["23 bands"],
        ),
        (lambda g, b: "louder", "the answer is a number", ["louder"]),
    ],
)
def test_change_of_c0_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson03.change_of_c0(answer), capsys, statement=statement, words=words)


def test_change_of_c0_is_what_the_library_does():
    sound = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    solution = answers("solution")["change_of_c0"]
    change = features.mfcc(0.5 * sound)[:, 0] - features.mfcc(sound)[:, 0]
    np.testing.assert_allclose(change, solution(0.5, 40), atol=1e-3)


def slope(cepstra, reach, *, mode="edge", divide=True):
    padded = np.pad(cepstra, [(reach, reach), (0, 0)], mode=mode)
    k = np.arange(-reach, reach + 1)
    sums = np.stack([k @ padded[m : m + len(k)] for m in range(len(cepstra))])
    return sums / np.sum(k**2) if divide else sums


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda c, r: np.diff(c, axis=0),
            "there is a slope for every frame and every coefficient",
            ["(19, 3)", "Repeat"],
        ),
        (lambda c, r: np.gradient(c, axis=1), "slopes run along time", ["rows"]),
        (
            lambda c, r: slope(c, r, divide=False),
            "the sum is divided by the sum of the squares",
            ["120"],
        ),
        (lambda c, r: 2 * slope(c, r), "both sides count in the sum of the squares", ["twice"]),
        (lambda c, r: -slope(c, r), "a rising coefficient has a positive slope", ["Later"]),
        (lambda c, r: np.gradient(c, axis=0), "it is the line that fits best", ["distance k"]),
        (
            lambda c, r: slope(c, r, mode="constant"),
            "beyond the ends the first and the last frame are repeated",
            ["edge"],
        ),
    ],
)
def test_delta_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson03.delta(answer), capsys, statement=statement, words=words)


def test_the_lessons_delta_is_the_librarys_with_repeated_ends():
    cepstra = np.random.default_rng(0).normal(size=(30, 13))
    solution = answers("solution")["delta"]
    np.testing.assert_allclose(
        solution(cepstra, 4), features.delta(cepstra, width=9, edges="repeat"), atol=1e-5
    )


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda p, w, f: np.log(np.maximum(p, f)) @ w.T,
            "twice the power adds ln 2 to every band",
            ["sum of the logarithms"],
        ),
        (lambda p, w, f: w @ np.log(p + f).T, "there is a row for each frame", []),
        (lambda p, w, f: np.log(np.maximum(p, f) @ w.T), "a silent band lies on the floor", ["after"]),
        (lambda p, w, f: 10 * np.log10(p @ w.T), "twice the power adds ln 2 to every band", ["3.010"]),
        (
            lambda p, w, f: np.log(np.maximum(p / 3 @ w.T, f)),
            "a band is the weighted sum of its bins' power",
            ["1.386"],
        ),
    ],
)
def test_log_bands_knows_the_usual_mistakes(answer, statement, words, capsys):
    outcome = check.lesson03.log_bands(answer)
    assert outcome.property.startswith(statement)
    hints_at(outcome, capsys, statement=outcome.property, words=words)


@pytest.mark.filterwarnings("ignore:divide by zero")
def test_log_bands_wants_a_logarithm_of_silence(capsys):
    outcome = check.lesson03.log_bands(lambda power, weights, floor: np.log(power @ weights.T))
    hints_at(outcome, capsys, statement="silence has a logarithm", words=["floor first"])


class Tones(Explorer):
    """A correct answer, from which the wrong ones differ by one method."""

    size = (3, 2)

    def controls(self):
        return {"apart": slider("apart", 100, low=10, high=400, step=5, unit="Hz")}

    def compute(self, *, apart):
        return spectrum_of(apart)

    def build(self, figure, result):
        (self.line,) = figure.subplots().plot(result)
        return [self.line]

    def draw(self, result):
        self.line.set_ydata(result)


class WithoutUnit(Tones):
    def controls(self):
        return {"apart": slider("apart", 100, low=10, high=400, step=5)}


class Deaf(Tones):
    def compute(self, *, apart):
        return spectrum_of(100)


class Restless(Tones):
    count = 0

    def compute(self, *, apart):
        Restless.count += 1
        return spectrum_of(apart) + Restless.count


class Frozen(Tones):
    def draw(self, result):
        pass


class Littering(Tones):
    def build(self, figure, result):
        self.axes = figure.subplots()
        return super().build(figure, result)[:0]

    def draw(self, result):
        self.line.axes.plot(result)


class OtherName(Tones):
    def compute(self, *, distance):
        return spectrum_of(distance)


class NothingReturned(Tones):
    def build(self, figure, result):
        (self.line,) = figure.subplots().plot(result)


class Unfinished(Explorer):
    def controls(self): ...


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda: None, "the answer is a class made from Explorer", ["a function"]),
        (dict, "the answer is a class made from Explorer", ["class TwoTones(Explorer)"]),
        (Unfinished, "it has controls, compute, build and draw", ["compute, build, draw"]),
        (WithoutUnit, "every number has its unit beside it", ["unit="]),
        (Deaf, "compute uses every control", ["apart=100"]),
        (Restless, "compute gives the same result for the same values", ["counter"]),
        (Frozen, "the picture follows the control", ["set_ydata"]),
        (Littering, "the picture shows the result and nothing of the past", ["leaves the old curves"]),
        (OtherName, "the function runs without an error", ["in compute", "apart"]),
        (NothingReturned, "the function runs without an error", ["in the picture"]),
    ],
)
def test_explorer_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson03.explorer(answer), capsys, statement=statement, words=words)


def test_every_correct_explorer_passes(capsys):
    assert check.lesson03.explorer(Tones).ok
    assert check.lesson03.explorer(TimeFrequencyExplorer).ok


# --- the explorer of MFCC


@pytest.fixture(scope="module")
def vowel():
    """Half a second of a hummed vowel: harmonics of 120 Hz under two formants."""
    times = np.arange(8000) / 16_000
    harmonics = np.arange(1, 60) * 120.0
    levels = 1 / (1 + ((harmonics - 700) / 150) ** 2) + 0.5 / (1 + ((harmonics - 1200) / 150) ** 2)
    sound = sum(a * np.sin(2 * np.pi * f * times) for a, f in zip(levels, harmonics, strict=True))
    return (0.1 * sound * np.hanning(8000)).astype(np.float32)


@pytest.fixture
def knobs(vowel):
    class Spoken:
        label, speaker, samples = "7", "ann", vowel

    return MfccExplorer([Spoken()])


def test_the_coefficients_are_the_librarys(knobs):
    result = knobs.compute(**{**knobs.values, "window": 20, "hop": 5, "bands": 30, "coefficients": 12})
    config = result.config
    assert (config.window_length, config.hop_length, config.n_mels) == (320, 80, 30)
    np.testing.assert_allclose(result.mfcc, features.mfcc(knobs.clips["seven · ann"], config), atol=1e-3)


def test_more_coefficients_keep_more(knobs):
    errors = [
        knobs.compute(**{**knobs.values, "coefficients": n, "bands": 24}).error_db for n in (1, 4, 12, 24)
    ]
    assert all(a > b for a, b in itertools.pairwise(errors))
    assert errors[-1] < 1e-3


def test_more_coefficients_than_bands_are_told_of(knobs):
    said = knobs.still(bands=10, coefficients=20)
    assert said.result.mfcc.shape[1] == 10
    assert "10 bands have no more than 10" in said.text


def test_preemphasis_tilts_the_bands(knobs):
    plain, raised = (knobs.compute(**{**knobs.values, "preemphasis": a}).log_mel for a in (0.0, 0.95))
    loud = plain[len(plain) // 2], raised[len(raised) // 2]
    gain = loud[1] - loud[0]
    assert gain[-5:].mean() > gain[:5].mean() + 2


def test_every_end_of_every_control_can_be_drawn(knobs):
    for name, control in knobs.inputs.items():
        ends = control.options if hasattr(control, "options") else (control.min, control.max)
        for value in ends:
            still = knobs.still(**{name: value})
            assert still.png.startswith(b"\x89PNG")
            heard = knobs.sound(still.result)
            assert np.isfinite(heard).all() and np.abs(heard).max() < 1
            audio.check(heard)
    knobs.still(bands=80, window=4, hop=2, coefficients=26, preemphasis=0.97)


def test_a_clip_is_needed():
    with pytest.raises(ValueError, match="no clip"):
        MfccExplorer([])


# --- sound from coefficients


@pytest.mark.parametrize("voice", ["whisper", "hum"])
def test_the_sound_has_the_coefficients_it_was_made_of(vowel, voice):
    config = FeatureConfig()
    wanted = features.mfcc(vowel, config)
    got = features.mfcc(resynthesize(wanted, config, voice=voice), config)
    inner = slice(8, -8)  # both ends are half a window
    # Noise and pulses have their own fine structure; what is asked for is the shape of the mean spectrum.
    away = np.abs(got[inner].mean(axis=0) - wanted[inner].mean(axis=0))
    assert away[1:].max() < 0.15 * np.abs(wanted[inner].mean(axis=0))[1:].max()


def test_the_sound_is_as_loud_as_the_original(vowel):
    config = FeatureConfig(n_mfcc=40)
    whisper = resynthesize(features.mfcc(vowel, config), config)
    assert abs(audio.level_db(whisper) - audio.level_db(vowel[: len(whisper)])) < 2


def test_a_hum_has_the_lent_pitch_and_a_whisper_has_none(vowel):
    config = FeatureConfig()
    mfcc = features.mfcc(vowel, config)
    period = round(16_000 / 110)

    def repeats(sound):
        sound = sound - sound.mean()
        return sound[period:] @ sound[:-period] / (sound @ sound)

    assert repeats(resynthesize(mfcc, config, voice="hum")) > 0.7
    assert abs(repeats(resynthesize(mfcc, config))) < 0.3


@pytest.mark.parametrize(
    ("mfcc", "voice", "message"),
    [
        (np.zeros((5, 41)), "whisper", "at most 40"),
        (np.zeros(13), "whisper", "shape"),
        (np.zeros((5, 13)), "shout", "shout"),
    ],
)
def test_what_cannot_be_sounded_is_refused(mfcc, voice, message):
    with pytest.raises(ValueError, match=message):
        resynthesize(mfcc, FeatureConfig(), voice=voice)


# --- the explorer of the trade-off


@pytest.fixture
def trade():
    return TimeFrequencyExplorer({"noise": np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)})


@pytest.mark.parametrize("window", [10, 20, 40, 80])
def test_a_window_separates_what_theory_says(trade, window):
    """Twice the distance that is just enough comes apart, half of it does not."""
    tones_hz, clicks_ms = 2000 / window, window / 2
    for factor, apart in ((2.0, True), (0.5, False)):
        tones = trade.compute(**{**trade.values, "window": window, "tones": factor * tones_hz})
        clicks = trade.compute(**{**trade.values, "window": window, "clicks": factor * clicks_ms})
        assert (tones.tones_dip_db >= 3) == apart
        assert (clicks.clicks_dip_db >= 3) == apart


def test_the_cuts_are_rows_and_columns_of_the_picture(trade):
    result = trade.still().result
    assert result.db.max() == 0
    assert result.spectrum.shape == (1025,)
    assert result.course.shape == (len(result.db),)
    assert abs(np.argmax(result.spectrum) * 16_000 / 2048 - 1000) < 60


def test_the_answer_says_what_is_seen(trade):
    said = trade.still(window=8, tones=60, clicks=20).text
    assert "A Hann window of 8 ms" in said
    assert "tones, 60 Hz apart, are seen as one" in said
    assert "clicks, 20 ms apart, are seen as two" in said
    assert "50 Hz apart" in trade.still(signal="noise", window=40).text
    assert math.isnan(trade.still(signal="noise").result.tones_dip_db)


def test_the_sound_has_no_clicks_of_its_own(trade):
    sound = trade.sound(trade.compute(**trade.values))
    assert sound[0] == sound[-1] == 0
    assert np.abs(sound).max() < 1


def test_every_end_of_the_trade_off_can_be_drawn(trade):
    for name, control in trade.inputs.items():
        ends = control.options if hasattr(control, "options") else (control.min, control.max)
        for value in ends:
            assert trade.still(**{name: value}).png.startswith(b"\x89PNG")


@pytest.mark.parametrize("made", ["knobs", "trade"])
def test_the_page_gets_the_picture(made, request):
    explorer = request.getfixturevalue(made)
    (image,) = (part for part in explorer.widget.children if isinstance(part, ipywidgets.Image))
    assert image.value == explorer.still().png
    explorer.set(window=50)
    assert image.value == explorer.still(window=50).png


@pytest.mark.parametrize("made", ["knobs", "trade"])
def test_every_number_has_its_unit(made, request):
    for control in request.getfixturevalue(made).inputs.values():
        is_count = control.description in ("mel bands", "coefficients", "pre-emphasis")
        assert is_count or "(" in control.description or hasattr(control, "options")


# --- the figures


def test_frames_are_where_the_configuration_says():
    ax = plots.frames(np.sin(np.arange(16_000)), start_seconds=0.1, count=3)
    bars = [line.get_xdata() for line in ax.lines[1:]]
    np.testing.assert_allclose(bars, [[100, 125], [110, 135], [120, 145]])
    with pytest.raises(ValueError, match="lasts"):
        plots.frames(np.zeros(400), count=2)


def test_power_spectra_are_in_decibels_below_their_top():
    ax = plots.power_spectra({"a": np.array([1.0, 10, 100]), "b": np.array([5.0, 5, 5])})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [-20, -10, 0])
    np.testing.assert_allclose(ax.lines[0].get_xdata(), [0, 4000, 8000])
    with pytest.raises(ValueError, match="no decibels"):
        plots.power_spectra({"a": np.zeros(5)})
    with pytest.raises(ValueError, match="no curve"):
        plots.power_spectra({})


def test_spectrogram_places_a_tone(vowel):
    config = FeatureConfig()
    ax = plots.spectrogram(features.power_spectrogram(vowel, config), config=config, top_hz=3000)
    assert ax.get_ylim() == (0, 3000)
    assert ax.images[0].get_array().max() == 0
    with pytest.raises(ValueError, match="257"):
        plots.spectrogram(np.ones((4, 10)))


def test_stages_share_their_time(vowel):
    figure = plots.stages(vowel)
    assert {axes.get_xlim() for axes in figure.axes} == {(0.0, 0.5)}
    assert "13 cepstral coefficients" in plots.alt_text(figure)


def test_pictures_leave_no_empty_axes():
    figure = plots.pictures({str(i): np.random.default_rng(i).normal(size=(20, 40)) for i in range(7)})
    assert len(figure.axes) == 7
    labelled = [axes.get_xlabel() == "time (s)" for axes in figure.axes]
    assert labelled == [False, False, True, True, True, True, True]  # those with nothing below them
    with pytest.raises(ValueError, match="no picture"):
        plots.pictures({})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_map_gives_each_speaker_a_colour_of_the_theme(theme):
    plots.style(theme)
    words, speakers = list("0123"), ["ann", "bob", "ann", "eve"]
    ax = plots.map_of_clips(np.arange(8.0).reshape(4, 2), words=words, speakers=speakers)
    colors = [text.get_color() for text in ax.texts]
    assert colors[0] == colors[1] and len(set(colors)) == 3
    assert sorted(text.get_text() for text in ax.texts) == words
    with pytest.raises(ValueError, match="colours for 4"):
        plots.map_of_clips(np.zeros((5, 2)), words=list("01234"), speakers=list("abcde"))


def test_correlations_want_a_square():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        plots.correlations(np.zeros((2, 3)))


def test_bands_are_drawn_whole():
    weights = features.mel_filterbank(FeatureConfig())
    ax = plots.bands(weights)
    assert len(ax.lines) == 40
    for line, row in zip(ax.lines, weights, strict=True):
        assert line.get_ydata().max() == row.max()
    with pytest.raises(ValueError, match="257"):
        plots.bands(np.ones((3, 4)))
