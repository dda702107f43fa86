"""Lesson 2: its checks know usual mistakes, its explorers compute without a browser, its figures speak."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from exercises import answers_in
from matplotlib import pyplot as plt

from asrlib import check, datasets, filters, plots, signals
from asrlib.evaluation import NoiseRow, wilson_interval
from asrlib.recognizer import Recognizer
from asrlib.widgets.filtering import NOISES, REMEDIES, DenoiseExplorer, FilterExplorer

LESSON_02 = Path(__file__).resolve().parents[1] / "notebooks" / "02_filtering.ipynb"
EXERCISES = ("output_at", "mix", "highpass", "remove_hum", "ratio_after")
RATE = 16_000


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def functions(tag):
    return answers_in(LESSON_02, tag, filters=filters, np=np)


def hints_at(outcome, *, statement, words):
    """Assert that a check failed at a property, with a hint that has these words."""
    assert not outcome
    assert outcome.property == statement
    for word in words:
        assert word in outcome.hint


# --- the checks


@pytest.mark.parametrize("name", EXERCISES)
def test_the_solution_in_the_lesson_passes(name, capsys):
    assert getattr(check.lesson02, name)(functions("solution")[name]).ok
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson02, name)(functions("exercise")[name])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson02.__all__)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, ..., 0.75])
def test_what_is_no_function_is_told_so(name, answer):
    outcome = getattr(check.lesson02, name)(answer)
    hints_at(outcome, statement="the answer is a function", words=["without calling"])


def looks_forward(n, x, h):
    return sum(h[k] * x[n + k] for k in range(len(h)) if n + k < len(x))


def taps_reversed(n, x, h):
    return sum(h[len(h) - 1 - k] * x[n - k] for k in range(len(h)) if 0 <= n - k < len(x))


def wraps_around(n, x, h):
    return sum(h[k] * x[n - k] for k in range(len(h)) if n - k < len(x))


def stops_with_x(n, x, h):
    return 0.0 if n >= len(x) else sum(h[k] * x[n - k] for k in range(min(len(h), n + 1)))


def first_two_taps_only(n, x, h):
    return sum(h[k] * x[n - k] for k in range(min(2, len(h))) if 0 <= n - k < len(x))


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (looks_forward, "each tap weighs the sample k places back", ["forward", "x[n - k]"]),
        (taps_reversed, "each tap weighs the sample k places back", ["wrong order", "newest"]),
        (wraps_around, "before the first sample there is silence", ["x[-1] is the last"]),
        (stops_with_x, "after the last sample the filter rings out", ["300", "second tap"]),
        (first_two_taps_only, "it holds for any length of x and h", ["np.convolve"]),
        (lambda n, x, h: np.convolve(x, h), "the answer is a number", ["array"]),
        (lambda n, x, h: h[0] * x[n], "each tap weighs the sample k places back", ["every k"]),
        (
            lambda n, x, h: sum(h[k] * x[n - k] for k in range(9)),
            "the function runs without an error",
            ["IndexError"],
        ),
    ],
)
def test_output_at_knows_the_usual_mistakes(answer, statement, words):
    hints_at(check.lesson02.output_at(answer), statement=statement, words=words)


def gain(speech, noise, snr_db):
    return np.sqrt(np.mean(speech**2) / np.mean(noise**2) / 10 ** (snr_db / 10))


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda s, n, speaking, db: s + gain(s, n, db) * n,
            "the ratio holds while somebody speaks",
            ["silence was counted", "speech[speaking]"],
        ),
        (
            lambda s, n, speaking, db: s + gain(s[speaking], n, db) ** 2 * n,
            "the noise is scaled to the ratio asked for",
            ["square root"],
        ),
        (
            lambda s, n, speaking, db: s + gain(s[speaking], n, -db) * n,
            "the noise is scaled to the ratio asked for",
            ["sign is wrong"],
        ),
        (
            lambda s, n, speaking, db: s + n * np.sqrt(np.mean(s[speaking] ** 2) / 10 ** (db / 10)),
            "the noise is scaled to the ratio asked for",
            ["own power was left out"],
        ),
        (lambda s, n, speaking, db: s, "noise is added", ["alone"]),
        (lambda s, n, speaking, db: 0.5 * (s + n), "the speech keeps its level", ["leave the speech"]),
        (lambda s, n, speaking, db: (s + n)[speaking][:9], "the answer is as long as what went in", ["8000"]),
        (lambda s, n, speaking, db: s + n / 0.0, "all samples are numbers", ["division by zero"]),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_mix_knows_the_usual_mistakes(answer, statement, words):
    hints_at(check.lesson02.mix(answer), statement=statement, words=words)


def click(n_taps, at):
    return np.eye(1, n_taps, at)[0]


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda taps: 1 - taps, "low frequencies are removed", ["single 1"]),
        (lambda taps: -taps, "the answer is another filter than the low-pass", ["upside down"]),
        (lambda taps: taps[::-1], "the answer is another filter than the low-pass", ["comes back"]),
        (
            lambda taps: click(len(taps), 0) - taps,
            "high frequencies are kept, with the same cut-off",
            ["at tap 0", "do not meet"],
        ),
        (
            lambda taps: taps * (-1.0) ** np.arange(len(taps)),
            "high frequencies are kept, with the same cut-off",
            ["every second sign"],
        ),
        (lambda taps: click(len(taps), len(taps) // 2), "low frequencies are removed", ["add up to zero"]),
        (lambda taps: np.append(1, -taps), "the answer is as long as what went in", ["102"]),
    ],
)
def test_highpass_knows_the_usual_mistakes(answer, statement, words):
    hints_at(check.lesson02.highpass(answer), statement=statement, words=words)


def notches(multiples, q):
    def remove(samples, mains_hz):
        for multiple in multiples:
            samples = filters.apply(filters.notch(multiple * mains_hz, q=q(multiple)), samples)
        return samples

    return remove


def always_50(samples, mains_hz):
    return functions("solution")["remove_hum"](samples, 50.0)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (notches([1], lambda k: 8), "the multiples of the hum are removed", ["100 Hz", "each multiple"]),
        (notches([1, 2, 3], lambda k: 80), "the hum itself is removed", ["longer to act", "lower q"]),
        (notches([1, 2, 3], lambda k: 1), "the voice between and above them stays", ["too wide", "raise q"]),
        (always_50, "the hum itself is removed", ["60 Hz", "not a fixed one"]),
        (
            lambda samples, mains_hz: filters.apply(filters.butterworth("highpass", 300.0), samples),
            "the voice between and above them stays",
            ["high-pass", "notches"],
        ),
        (lambda samples, mains_hz: samples, "the hum itself is removed", ["Put a notch there"]),
        (lambda samples, mains_hz: samples[100:], "the answer is as long as what went in", ["16000"]),
    ],
)
def test_remove_hum_knows_the_usual_mistakes(answer, statement, words):
    hints_at(check.lesson02.remove_hum(answer), statement=statement, words=words)


def decibels(clean, wrong):
    return 10 * np.log10(np.sum(clean**2) / np.sum(wrong**2))


def skips(count):
    def ratio(clean, noisy, taps):
        filtered = np.convolve(noisy, taps)[count(taps) :]
        filtered = np.pad(filtered, (0, len(clean)))[: len(clean)]
        return decibels(clean, filtered - clean)

    return ratio


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (skips(lambda taps: 0), "a filter that only delays changes nothing", ["10 samples late", "half"]),
        (skips(lambda taps: len(taps) - 1), "a filter that only delays changes nothing", ["Too many"]),
        (
            skips(lambda taps: 0 if len(taps) == 1 else 10),
            "a filter that only delays changes nothing",
            ["depends on the number of taps"],
        ),
        (
            lambda clean, noisy, taps: decibels(clean, noisy - clean),
            "the noise that a filter removes is counted as gained",
            ["Filter the noisy sound"],
        ),
        (
            lambda clean, noisy, taps: decibels(noisy - clean, clean),
            "without a filter it is the ratio of the two sounds",
            ["20.0"],
        ),
        (lambda clean, noisy, taps: noisy - clean, "the answer is a number", ["array"]),
    ],
)
def test_ratio_after_knows_the_usual_mistakes(answer, statement, words):
    hints_at(check.lesson02.ratio_after(answer), statement=statement, words=words)


def test_other_right_ways_pass_too():
    def same(clean, noisy, taps):
        return decibels(clean, np.convolve(noisy, taps, "same") - clean)

    def cut(clean, noisy, taps):
        half = len(taps) // 2
        filtered = np.convolve(noisy, taps, "valid")
        clean = clean[half : len(clean) - half]
        return decibels(clean, filtered - clean)

    def from_the_array(n, x, h):
        return float(np.convolve(x, h)[n])

    assert check.lesson02.ratio_after(same) and check.lesson02.ratio_after(cut)
    assert check.lesson02.output_at(from_the_array)


# --- the explorers


@pytest.fixture(scope="module")
def machine():
    return Recognizer.synthetic()


@pytest.fixture(scope="module")
def words():
    return datasets.digits("test").where(take=0, speaker="af_nova", label=["6", "9"])


@pytest.fixture(scope="module")
def designer(machine, words):
    return FilterExplorer(words, recognizer=machine)


@pytest.fixture(scope="module")
def denoiser(machine, words):
    return DenoiseExplorer(machine, words, babble=words.arrays())


def test_controls_carry_their_units(designer, denoiser):
    assert designer.inputs["order"].description == "order (FIR: × 50)"
    assert designer.inputs["low"].label.endswith(" Hz") and designer.inputs["high"].label.endswith(" Hz")
    assert denoiser.inputs["snr_db"].label.endswith(" dB")


@pytest.mark.parametrize("kind", ["low-pass", "high-pass", "band-pass", "band-stop"])
@pytest.mark.parametrize("design", ["FIR (windowed sinc)", "IIR (Butterworth)"])
def test_the_designer_designs_what_was_asked_for(designer, kind, design):
    values = {**designer.values, "kind": kind, "design": design, "low": 500, "high": 2000, "order": 8}
    result = designer.compute(**values)

    def gain_at(hertz):
        return float(np.interp(hertz, result.response.frequencies, result.response.gain_db))

    inside = {"low-pass": 200, "high-pass": 4000, "band-pass": 1000, "band-stop": 100}[kind]
    outside = {"low-pass": 7000, "high-pass": 60, "band-pass": 7000, "band-stop": 1000}[kind]
    assert abs(gain_at(inside)) < 0.5
    assert gain_at(outside) < -30
    assert len(result.after) == len(result.before)
    assert len(result.impulse_response) == 480


def test_forwards_and_backwards_counts_decibels_twice_and_cancels_the_delay(designer):
    values = {"design": "IIR (Butterworth)", "kind": "low-pass", "high": 1000, "order": 4}
    once, twice = designer.still(**values), designer.still(**values, zero_phase=True)
    assert "−3.0 dB at 1000 Hz" in once.text and "−6.0 dB at 1000 Hz" in twice.text
    assert "the delay cancels" in twice.text and "10 multiplications" in once.text
    assert "20 multiplications" in twice.text


def test_the_designer_equals_its_parts(designer, words):
    clip = next(iter(designer.sounds))
    result = designer.compute(**{**designer.values, "clip": clip, "kind": "low-pass", "order": 1})
    np.testing.assert_allclose(result.filter.taps, scipy.signal.firwin(51, 1000, fs=RATE), atol=1e-12)
    np.testing.assert_array_equal(result.after, filters.apply(result.filter, words[0].samples))


def test_a_cut_off_that_does_nothing_rests(designer):
    for kind, low, high in (
        ("low-pass", True, False),
        ("high-pass", False, True),
        ("band-pass", False, False),
    ):
        designer.set(kind=kind)
        assert (designer.inputs["low"].disabled, designer.inputs["high"].disabled) == (low, high)


def test_edges_in_the_wrong_order_are_told_not_hidden(designer):
    with pytest.raises(ValueError, match="lower edge first"):
        designer.still(kind="band-pass", low=2000, high=500)


def test_a_filter_that_leaves_nothing_asks_no_machine():
    silent = FilterExplorer({"tone": signals.sine(6000.0, seconds=0.5)})
    still = silent.still(kind="low-pass", high=100, order=8)
    assert still.result.transcript is None
    assert "machine" not in still.text


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("remedy", REMEDIES)
def test_the_denoiser_measures_every_pair(denoiser, noise, remedy):
    result = denoiser.compute(**{**denoiser.values, "noise": noise, "remedy": remedy, "snr_db": 5.0})
    assert np.isfinite(result.cleaned).all() and len(result.cleaned) == len(result.clean)
    assert np.isfinite(result.gained_db)
    if remedy == "none":
        assert result.gained_db == 0
    if noise in ("hum", "white noise", "hiss"):
        assert abs(result.before_db - 5) < 1.5


def test_notches_clean_a_hum_and_the_gate_white_noise(denoiser):
    hum = denoiser.compute(
        **{**denoiser.values, "noise": "hum", "remedy": "notches 50 to 400 Hz", "snr_db": -10.0}
    )
    assert hum.gained_db > 10
    hiss = denoiser.compute(
        **{**denoiser.values, "noise": "white noise", "remedy": "Wiener gate", "snr_db": 0.0}
    )
    assert hiss.gained_db > 3


def test_what_is_said_and_heard(denoiser):
    still = denoiser.still(noise="hum", remedy="high-pass 200 Hz", snr_db=-20.0)
    assert "signal-to-noise ratio by +" in still.text
    assert "The machine before: it writes" in still.text
    sound = denoiser.sound(still.result)
    assert np.abs(sound).max() <= 0.9001


@pytest.mark.parametrize("changes", [{"high": 400}, {"design": "IIR (Butterworth)", "order": 8}])
def test_the_quick_picture_of_the_designer_is_the_whole_one(designer, changes):
    first = designer.still()
    assert designer.still(**changes).png != first.png
    assert designer.still().png == first.png


def test_the_quick_picture_of_the_denoiser_is_the_whole_one(denoiser):
    first = denoiser.still()
    assert denoiser.still(snr_db=20.0).png != first.png
    assert denoiser.still().png == first.png


@pytest.mark.parametrize("explorer", [FilterExplorer, DenoiseExplorer])
def test_nothing_to_explore_is_refused(explorer, machine):
    options = {"babble": []} if explorer is DenoiseExplorer else {}
    arguments = (machine, []) if explorer is DenoiseExplorer else ([],)
    with pytest.raises(ValueError, match="no sound"):
        explorer(*arguments, **options)


# --- the figures


def test_the_spectrogram_shows_a_tone_where_it_is():
    tone = signals.sine(2000.0, seconds=0.5)
    picture = plots.spectrogram_db(tone)
    assert picture.shape[1] == 257
    assert (picture[4:-4].argmax(axis=1) == 2000 * 512 // RATE).all()
    np.testing.assert_allclose(picture[10:-10].max(), 20 * np.log10(0.5), atol=0.01)
    with pytest.raises(ValueError, match="samples has shape"):
        plots.sound_spectrogram(np.zeros((2, 100)))


def test_the_gain_is_drawn_and_told():
    ax = plots.gain({"low": filters.frequency_response(filters.butterworth("lowpass", 1000.0))})
    assert "low: within 3 dB of its greatest gain from 0 to about 9" in plots.alt_text(ax)
    with pytest.raises(ValueError, match="no response"):
        plots.gain({})


def test_poles_of_a_filter_without_feedback_are_refused():
    with pytest.raises(ValueError, match="no feedback"):
        plots.poles_and_zeros(filters.Fir([0.5, 0.5]))


def test_poles_and_zeros_of_a_notch():
    ax = plots.poles_and_zeros(filters.notch(2000.0, q=5))
    zeros, poles = (np.stack(line.get_data(), axis=1) for line in ax.lines[-2:])
    np.testing.assert_allclose(np.hypot(*zeros.T), 1, atol=1e-9)
    np.testing.assert_allclose(np.abs(np.arctan2(zeros[:, 1], zeros[:, 0])), 2 * np.pi * 2000 / RATE)
    assert (np.hypot(*poles.T) < 1).all()


def test_remedies_stand_side_by_side_with_their_intervals():
    def rows(n):
        return [NoiseRow(f"{db} dB", 20, n, wilson_interval(n, 20), float(db)) for db in (-10, 0)]

    ax = plots.before_and_after({"nothing": rows(5), "gate": rows(15)}, chance=0.1)
    first, second = (container.lines[0].get_xdata() for container in ax.containers)
    assert (first < second).all()
    assert "gate: −10 dB 75 %, 0 dB 75 %." in plots.alt_text(ax)
    with pytest.raises(ValueError, match="same ratios"):
        plots.before_and_after({"a": rows(5), "b": rows(5)[:1]})
    with pytest.raises(ValueError, match="at least one"):
        plots.before_and_after({})


@pytest.mark.parametrize("draw", [plots.group_delay, plots.impulse_response])
def test_nothing_to_draw_is_refused(draw):
    with pytest.raises(ValueError, match="There is no"):
        draw({})


def test_delays_and_speech_are_told():
    low = filters.fir("lowpass", 1000, n_taps=101)
    assert "3.12 to 3.12 ms" in plots.alt_text(plots.group_delay({"FIR": filters.group_delay(low)}))
    sound = np.concatenate([np.zeros(8000), signals.sine(300.0, seconds=0.5)]).astype(np.float32)
    ax = plots.speech_over_time(sound, signals.speech_frames(sound))
    assert "50 % of its frames" in plots.alt_text(ax)
