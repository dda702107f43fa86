"""Lesson 1: its checks help, its explorers compute what the theorems say, its figures tell what they show."""

import math
from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from exercises import answers_in

from asrlib import audio, check, datasets, filters, plots, signals
from asrlib.evaluation import Row, wilson_interval
from asrlib.widgets.sampling import FADING, RISING, TONE, QuantizationExplorer, SamplingExplorer

LESSON = Path(__file__).resolve().parents[1] / "notebooks" / "01_sampling.ipynb"
EXERCISES = ("bits_for", "count_clipped", "decimate", "save", "suspects")


def functions(tag):
    return answers_in(LESSON, tag, audio=audio, filters=filters, np=np, signals=signals)


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
    assert getattr(check.lesson01, name)(functions("solution")[name]).ok
    assert capsys.readouterr().out == "yes\n"


@pytest.mark.parametrize("name", EXERCISES)
def test_the_stub_in_the_lesson_does_not_pass(name, capsys):
    outcome = getattr(check.lesson01, name)(functions("exercise")[name])
    assert not outcome.ok
    assert outcome.property and outcome.hint
    assert capsys.readouterr().out.startswith("not yet: ")


def test_every_check_has_its_exercise_and_its_solution():
    assert set(EXERCISES) == set(check.lesson01.__all__)


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, ..., 0.75])
def test_what_is_no_function_is_told_so(name, answer, capsys):
    outcome = getattr(check.lesson01, name)(answer)
    hints_at(outcome, capsys, statement="the answer is a function", words=["without calling"])


def both_sides(heard, rate, highest, *, multiples=100):
    ends = [k * rate + side * heard for k in range(multiples) for side in (-1, 1)]
    return sorted(f for f in ends if 0 <= f <= highest)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda heard, rate, highest: [heard + k * rate for k in range(9) if heard + k * rate <= highest],
            "frequencies below a multiple of the rate fold back too",
            ["7000 Hz is missing"],
        ),
        (
            lambda heard, rate, highest: [heard, rate - heard],
            "frequencies above a multiple of the rate fold too",
            ["9000 Hz"],
        ),
        (
            lambda heard, rate, highest: both_sides(heard, rate, highest, multiples=2),
            "every multiple of the rate counts",
            ["17000 Hz", "twice the rate"],
        ),
        (both_sides, "no frequency is named twice", ["0 Hz", "keep one"]),
        (
            lambda heard, rate, highest: sorted(set(both_sides(heard, rate, highest + rate))),
            "only frequencies from 0 to the highest are named",
            ["23000 Hz"],
        ),
        (
            lambda heard, rate, highest: sorted(
                {heard, *np.arange(rate - heard, highest, rate / 8).tolist()}
            ),
            "each of them is heard as the given frequency",
            ["8000 Hz, which is heard as 0 Hz"],
        ),
        (
            lambda heard, rate, highest: sorted(set(both_sides(heard, rate, highest)), reverse=True),
            "they come in rising order",
            ["Sort"],
        ),
        (lambda heard, rate, highest: 7_000, "the answer is a list of frequencies", ["7000"]),
        (
            lambda heard, rate, highest: [f for f in both_sides(heard, rate, highest) if f != heard],
            "the tone itself is a suspect",
            ["1000 Hz is heard as itself"],
        ),
    ],
)
def test_suspects_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson01.suspects(answer), capsys, statement=statement, words=words)


def decimated_with(edge, *, n_taps=201):
    def decimate(samples, factor, rate):
        lowpass = filters.fir("lowpass", edge(factor, rate), n_taps=n_taps, sample_rate=rate)
        return filters.apply(lowpass, samples)[::factor]

    return decimate


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda samples, factor, rate: samples[::factor],
            "what lies above half the new rate is gone",
            ["3000 Hz, only 0 dB softer", "4000 Hz: filter"],
        ),
        (
            lambda samples, factor, rate: samples,
            "one sample of every few is kept",
            ["8000", "expected 4000"],
        ),
        (
            decimated_with(lambda factor, rate: 0.95 * rate / factor),
            "what lies above half the new rate is gone",
            ["filter away"],
        ),
        (
            decimated_with(lambda factor, rate: 0.1 * rate / factor),
            "what lies well below half the new rate stays",
            ["just below it"],
        ),
        (
            lambda samples, factor, rate: (
                samples[: len(samples) // factor * factor].reshape(-1, factor).mean(1)
            ),
            "what lies above half the new rate is gone",
            ["dB softer"],
        ),
        (
            lambda samples, factor, rate: (samples[::factor], rate),
            "the answer is one row of samples",
            ["several things"],
        ),
    ],
)
def test_decimate_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson01.decimate(answer), capsys, statement=statement, words=words)


def test_decimate_takes_every_good_way():
    assert check.lesson01.decimate(lambda samples, factor, rate: scipy.signal.decimate(samples, factor)).ok
    assert check.lesson01.decimate(
        lambda samples, factor, rate: audio.resample(samples, source_rate=rate, target_rate=rate // factor)
    ).ok


def resampled_the_wrong_way(path, samples, rate):
    return audio.write(path, audio.resample(samples, source_rate=16_000, target_rate=rate))


def without_a_filter(path, samples, rate):
    kept = samples[np.arange(len(samples) * 16_000 // rate) * rate // 16_000]
    return audio.write(path, kept)


def cut_to_length(path, samples, rate):
    length = len(samples) * 16_000 // rate
    return audio.write(path, np.pad(samples, (0, max(0, length - len(samples))))[:length])


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (
            lambda path, samples, rate: audio.write(path, samples),
            "the file plays at the speed of the recording",
            ["0.75 s", "400 Hz", "Tell audio.write the rate"],
        ),
        (
            lambda path, samples, rate: audio.write(path, samples, sample_rate=24_000),
            "the file plays at the speed of the recording",
            ["44100 Hz", "not a fixed one"],
        ),
        (resampled_the_wrong_way, "the file lasts as long as the recording", ["18000 are in the file"]),
        (cut_to_length, "the pitch stays what it was", ["400 Hz", "Cutting"]),
        (without_a_filter, "no tone appears that was not recorded", ["folded", "keep all"]),
        (lambda path, samples, rate: None, "there is a file at the path", ["audio.write"]),
        (
            lambda path, samples, rate: path.write_bytes(samples.tobytes()),
            "the file is a sound file",
            ["cannot be read"],
        ),
    ],
)
def test_save_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson01.save(answer), capsys, statement=statement, words=words)


def test_saving_at_another_rate_is_no_mistake_when_the_sound_is_right():
    def save(path, samples, rate):
        return audio.write(path, audio.resample(samples, source_rate=rate, target_rate=16_000))

    assert check.lesson01.save(save).ok


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda snr_db: snr_db / 6.02, "the answer is a whole number of bits", ["round up"]),
        (lambda snr_db: round((snr_db - 1.76) / 6.02), "the wanted ratio is reached", ["49.9 dB", "nearest"]),
        (lambda snr_db: int((snr_db - 1.76) / 6.02), "the wanted ratio is reached", ["Round up"]),
        (lambda snr_db: math.ceil(snr_db / 6.02), "no bit is wasted", ["1.76 dB off"]),
        (lambda snr_db: 16, "it is the smallest number of bits that reaches the ratio", ["16"]),
        (lambda snr_db: "10", "the answer is a number", ["'10'"]),
    ],
)
def test_bits_for_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson01.bits_for(answer), capsys, statement=statement, words=words)


@pytest.mark.parametrize(
    ("answer", "statement", "words"),
    [
        (lambda x: int(np.sum(x >= 1)), "the troughs are cut as well as the peaks", ["-1 is full scale"]),
        (lambda x: int(np.sum(np.abs(x) > 1)), "full scale itself counts", [">="]),
        (lambda x: float(np.mean(np.abs(x) >= 1)), "the answer is a count", ["share"]),
        (lambda x: np.abs(x) >= 1, "the answer is a number", ["sum()"]),
        (
            lambda x: int(np.sum(np.abs(x) == np.abs(x).max())),
            "it holds for any recording",
            ["0 are at full scale", "it returns 1"],
        ),
    ],
)
def test_count_clipped_knows_the_usual_mistakes(answer, statement, words, capsys):
    hints_at(check.lesson01.count_clipped(answer), capsys, statement=statement, words=words)


# --- the sampling explorer


@pytest.fixture(scope="module")
def clip():
    return datasets.listen().where(label="sail fail sin fin thin")[0]


@pytest.fixture(scope="module")
def sampling(clip):
    return SamplingExplorer([clip])


def sampled(explorer, **values):
    start = {"source": TONE, "frequency": 1000.0, "moment": 0.0, "sample_rate": 8_000, "filtered": False}
    return explorer.compute(**{**start, **values})


def pitch(samples, *, rate=16_000):
    return float(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))


@pytest.mark.parametrize("rate", [16_000, 8_000, 6_000, 2_000])
@pytest.mark.parametrize("frequency", [400.0, 1_700.0, 5_300.0, 9_800.0, 14_900.0])
def test_a_tone_is_heard_at_its_alias(sampling, frequency, rate):
    result = sampled(sampling, frequency=frequency, sample_rate=rate)
    assert result.heard == signals.alias_frequency(frequency, sample_rate=rate)
    assert pitch(result.sound) == pytest.approx(result.heard, abs=1)
    assert abs(result.change_db) < 0.5  # aliasing moves power, it loses none


@pytest.mark.parametrize("rate", [16_000, 8_000, 3_000])
def test_the_filter_stops_what_would_alias_and_passes_the_rest(sampling, rate):
    for share, heard in ((0.2, True), (0.4, True), (0.55, False), (0.9, False)):
        result = sampled(sampling, frequency=share * rate, sample_rate=rate, filtered=True)
        assert (result.change_db > -0.5) == heard
        assert (result.change_db < -40) != heard


def test_below_half_the_rate_the_wave_comes_back_between_the_samples(sampling):
    result = sampled(sampling, frequency=3_000.0)
    np.testing.assert_allclose(result.rebuilt, result.air, atol=1e-3)


def test_the_wave_passes_through_the_samples(sampling):
    for frequency in (1_000.0, 7_000.0):
        result = sampled(sampling, frequency=frequency)
        at_samples = np.interp(result.sample_times, result.times, result.rebuilt)
        np.testing.assert_allclose(at_samples, result.samples, atol=1e-3)


def test_an_s_folds_without_the_filter_and_is_gone_with_it(sampling, clip):
    values = {"source": clip.label, "moment": 0.12, "sample_rate": 6_000}
    bare, filtered = (sampled(sampling, filtered=on, **values) for on in (False, True))
    below = bare.frequencies < 3_000
    assert bare.rebuilt_db[below].mean() > filtered.rebuilt_db[below].mean() + 20
    assert 0 < bare.share_above < 1 and bare.share_above == filtered.share_above


def test_the_sampling_explorer_speaks(sampling, clip):
    def said(**values):
        return sampling.describe(sampled(sampling, **values))

    assert "comes back as a tone of 1000 Hz" in said(frequency=7_000.0)
    assert "comes back as it was" in said(frequency=3_000.0)
    assert "is gone" in said(frequency=7_000.0, filtered=True)
    assert "at exactly half the rate" in said(frequency=4_000.0)
    assert "at exactly half the rate" in said(frequency=15_000.0, sample_rate=6_000)
    assert "softer" in said(frequency=3_900.0, filtered=True)
    assert "turns round at half the rate, 4000 Hz" in said(source=RISING)
    assert "falls silent" in said(source=RISING, filtered=True)
    assert "never there" in said(source=clip.label)
    assert "took it away" in said(source=clip.label, filtered=True)


@pytest.mark.parametrize("moment", [0.0, 1.3, 3.0])
@pytest.mark.parametrize("source", [TONE, RISING, "sail fail sin fin thin"])
def test_every_moment_can_be_shown(sampling, source, moment):
    still = sampling.still(source=source, moment=moment, sample_rate=2_400)
    assert still.png[:4] == b"\x89PNG" and still.text
    assert audio.check(sampling.sound(still.result)) is not None


def test_the_controls_name_their_units(sampling):
    described = [control.description for control in sampling.inputs.values()]
    assert [name for name in described if "(Hz)" in name] and [name for name in described if "(s)" in name]
    assert all(label.endswith("Hz") for label, _ in sampling.inputs["sample_rate"].options)
    rounding = [control.description for control in QuantizationExplorer().inputs.values()]
    assert [name for name in rounding if "(dB)" in name] and [name for name in rounding if "(bits)" in name]


def test_only_controls_that_matter_can_be_turned(clip):
    explorer = SamplingExplorer([clip])
    for source, expected in ((TONE, (False, True)), (RISING, (True, False)), (clip.label, (True, False))):
        explorer.set(source=source)
        assert (explorer.inputs["frequency"].disabled, explorer.inputs["moment"].disabled) == expected


def test_a_long_clip_is_refused_by_its_length(clip):
    long = type(clip)(np.zeros(6 * 24_000, np.float32), "long", "a", "g", 0, "train", Path("a"), 24_000)
    with pytest.raises(ValueError, match=r"lasts 6\.0 s"):
        SamplingExplorer([long])


# --- the quantization explorer


@pytest.fixture(scope="module")
def rounding(clip):
    return QuantizationExplorer([clip])


def test_the_measured_ratio_follows_the_rule(rounding):
    for bits in (6, 8, 12, 16):
        result = rounding.compute(source=TONE, level_db=0.0, bits=bits, dither="none")
        assert result.rule_db == pytest.approx(6.02 * bits + 1.76, abs=0.05)
        assert result.snr_db == pytest.approx(result.rule_db, abs=0.5)


def test_softer_sounds_lose_as_many_decibels(rounding):
    loud = rounding.compute(source=TONE, level_db=0.0, bits=12, dither="none")
    soft = rounding.compute(source=TONE, level_db=-20.0, bits=12, dither="none")
    assert loud.snr_db - soft.snr_db == pytest.approx(20, abs=1)
    assert loud.rule_db - soft.rule_db == pytest.approx(20)


def test_dither_costs_decibels_and_takes_the_needles_away(rounding):
    results = {
        dither: rounding.compute(source=TONE, level_db=-6.0, bits=5, dither=dither)
        for dither in ("none", "rectangular", "triangular")
    }
    assert results["none"].snr_db > results["rectangular"].snr_db > results["triangular"].snr_db
    # Uniform error has 1/12 of a squared step; triangular dither adds twice as much.
    assert results["none"].snr_db - results["triangular"].snr_db == pytest.approx(10 * math.log10(3), abs=1)
    assert results["none"].peak_over_mean_db > results["triangular"].peak_over_mean_db + 5


def test_below_half_a_step_nothing_is_left(rounding):
    still = rounding.still(source=TONE, level_db=-40.0, bits=6.0, dither="none")
    assert not still.result.quantized.any()
    assert "every sample became zero" in still.text
    assert rounding.compute(source=TONE, level_db=-40.0, bits=6, dither="triangular").quantized.any()


@pytest.mark.parametrize("source", [TONE, FADING, "sail fail sin fin thin"])
@pytest.mark.parametrize("bits", [2.0, 16.0])
def test_every_sound_can_be_rounded(rounding, source, bits):
    still = rounding.still(source=source, level_db=0.0, bits=bits, dither="triangular")
    assert still.png[:4] == b"\x89PNG"
    assert len(np.unique(still.result.quantized)) <= 2 ** int(bits) - 1
    assert str(int(bits)) in still.text


# --- the figures


def test_what_has_nothing_to_draw_is_refused():
    for draw in (
        lambda: plots.sampled({}, seconds=1, sample_rate=8_000),
        lambda: plots.spectrum_of({}),
        lambda: plots.snr_against_bits({}),
        lambda: plots.accuracy_against_bandwidth({}),
        lambda: plots.spectrogram_of(np.zeros(10)),
        lambda: plots.rounded(np.zeros(4), np.zeros(5)),
        lambda: plots.sinc_sum(np.zeros(0), sample_rate=8_000),
    ):
        with pytest.raises(ValueError):
            draw()


@pytest.mark.parametrize("rate", [6_000, 16_000, 24_000])
def test_a_full_scale_sine_has_0_db_in_every_spectrum(rate):
    tone = signals.sine(1_000, seconds=0.5, sample_rate=rate, amplitude=1.0)
    ax = plots.spectrum_of(tone, sample_rate=rate)
    assert ax.lines[0].get_ydata().max() == pytest.approx(0, abs=0.2)
    image = plots.spectrogram_of(tone, sample_rate=rate).images[0]
    assert image.get_clim()[1] == pytest.approx(0, abs=0.2)
    assert image.get_extent()[3] >= rate / 2


def test_the_bandwidth_figure_keeps_its_intervals_and_says_its_numbers():
    rows = {
        4_000.0: Row("a", 50, 48, wilson_interval(48, 50)),
        500.0: Row("b", 50, 20, wilson_interval(20, 50)),
    }
    ax = plots.accuracy_against_bandwidth({"filtered": rows}, chance=0.1, ceiling=4_000)
    assert ax.get_xscale() == "log" and len(ax.containers) == 1
    assert "40.0 % at 500 Hz, 96.0 % at 4000 Hz" in plots.alt_text(ax)


def test_the_sum_of_sincs_in_the_figure_passes_through_the_samples():
    samples = np.array([0, 0.3, -0.2, 0.5, 0])
    ax = plots.sinc_sum(samples, sample_rate=1_000)
    total = next(line for line in ax.lines if line.get_label() == "their sum")
    np.testing.assert_allclose(np.interp(np.arange(5), *total.get_data()), samples, atol=1e-3)
