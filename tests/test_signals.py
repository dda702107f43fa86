"""Tones, noises and mixtures are what they claim; sampling and quantisation err as theory says."""

import math

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asrlib import audio, signals
from asrlib.errors import AudioError

RATE = 16_000


def rng():
    return np.random.default_rng(7)


def tone(seconds=1.0, *, amplitude=0.1, hz=440.0):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def spoken(pause=0.5):
    """Speech-like: a tone that swells and fades, between pauses with faint noise."""
    word = tone(0.6) * np.hanning(int(0.6 * RATE)).astype(np.float32)
    quiet = (1e-4 * rng().standard_normal(int(pause * RATE))).astype(np.float32)
    return np.concatenate([quiet, word, quiet])


def octave_levels_db(samples, centres):
    spectrum = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    bands = [(hz >= c / np.sqrt(2)) & (hz < c * np.sqrt(2)) for c in centres]
    return 10 * np.log10([spectrum[band].sum() for band in bands])


def random_noises():
    return [signals.white_noise, signals.pink_noise, signals.brown_noise, signals.hiss, signals.hum]


@pytest.mark.parametrize("make", random_noises())
@pytest.mark.parametrize("level_db", [-40.0, -26.0])
def test_noise_has_its_length_level_and_type(make, level_db):
    noise = make(0.7, rng=rng(), level_db=level_db)
    assert noise.shape == (11_200,)
    assert noise.dtype == np.float32
    assert audio.level_db(noise) == pytest.approx(level_db, abs=0.01)
    assert abs(noise.mean()) < 0.01
    np.testing.assert_array_equal(noise, make(0.7, rng=rng(), level_db=level_db))
    assert not np.array_equal(noise, make(0.7, rng=np.random.default_rng(8), level_db=level_db))


@pytest.mark.parametrize("make", random_noises())
def test_too_loud_a_noise_is_refused_not_clipped(make):
    with pytest.raises(AudioError, match="Lower level_db"):
        make(1.0, rng=rng(), level_db=-1.0)


@pytest.mark.parametrize("make", random_noises())
def test_no_length_is_refused(make):
    with pytest.raises(ValueError, match="positive length"):
        make(0.0, rng=rng())


@pytest.mark.parametrize(
    ("make", "slope_db"),
    [
        (signals.white_noise, 3.01),
        (signals.pink_noise, 0.0),
        (signals.brown_noise, -3.01),
        (signals.hiss, 9.03),
    ],
)
def test_octave_levels_follow_the_named_slope(make, slope_db):
    centres = (
        np.array([62.5, 125, 250, 500])
        if make is signals.hiss
        else np.array([125, 250, 500, 1000, 2000, 4000])
    )
    levels = octave_levels_db(make(20.0, rng=rng()), centres)
    slope = np.polyfit(np.log2(centres), levels, 1)[0]
    assert slope == pytest.approx(slope_db, abs=0.35)


def test_hum_has_only_its_partials():
    noise = signals.hum(1.0, mains_hz=60.0, n_harmonics=5)
    spectrum = np.abs(np.fft.rfft(noise.astype(np.float64)))
    partials = spectrum[60:301:60].copy()
    np.testing.assert_allclose(partials / partials[0], 1 / np.arange(1, 6), rtol=1e-4)
    spectrum[60:301:60] = 0
    assert spectrum.max() < 1e-4 * partials[0]


def test_hum_beyond_half_the_sample_rate_is_refused():
    with pytest.raises(ValueError, match="half the sample rate"):
        signals.hum(1.0, mains_hz=50.0, n_harmonics=160)


def test_babble_is_denser_than_its_clips_and_equally_loud_throughout():
    words = [spoken(0.1) * gain for gain in (1.0, 0.2, 3.0)]
    noise = signals.babble(4.0, clips=words, rng=rng(), n_voices=8)
    assert noise.shape == (4 * RATE,)
    assert audio.level_db(noise) == pytest.approx(-26, abs=0.01)
    assert signals.speech_frames(noise).mean() > 0.95
    with pytest.raises(ValueError, match="at least one"):
        signals.babble(1.0, clips=[], rng=rng())


@pytest.mark.parametrize("pause", [0.1, 0.5, 3.0])
@pytest.mark.parametrize("gain", [0.01, 1.0, 9.0])
def test_speech_level_ignores_pauses_and_follows_gain(pause, gain):
    expected = signals.speech_level_db(spoken(0.2)) + 20 * np.log10(gain)
    assert signals.speech_level_db(spoken(pause) * np.float32(gain)) == pytest.approx(expected, abs=0.02)


def test_speech_level_of_a_steady_sound_is_its_level():
    sound = tone(1.013)
    assert signals.speech_level_db(sound) == pytest.approx(audio.level_db(sound), abs=1e-3)
    assert signals.speech_frames(sound).all()


def test_speech_frames_cover_the_word_only():
    mask = signals.speech_frames(spoken(0.5))
    assert len(mask) == 80
    assert not mask[:25].any()
    assert not mask[55:].any()
    assert mask[30:50].all()


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 40.0])
@pytest.mark.parametrize("pause", [0.1, 2.0])
@pytest.mark.parametrize("make", [signals.white_noise, signals.hum])
def test_mixture_has_the_ratio_during_speech(make, pause, snr_db):
    speech = spoken(pause)
    noise = make(len(speech) / RATE, rng=rng())
    mixture = signals.mix(speech, noise, snr_db=snr_db)
    added = mixture - speech
    assert signals.speech_level_db(speech) - audio.level_db(added) == pytest.approx(snr_db, abs=0.05)
    assert np.corrcoef(added, noise)[0, 1] > 0.999
    assert mixture.dtype == np.float32


def test_infinite_ratio_gives_the_speech():
    speech = spoken()
    np.testing.assert_array_equal(signals.mix(speech, speech, snr_db=np.inf), speech)


def test_limit_scales_everything_alike():
    speech = 9 * spoken()
    noise = signals.white_noise(len(speech) / RATE, rng=rng())
    with pytest.raises(AudioError, match="limit=True"):
        signals.mix(speech, noise, snr_db=0)
    limited = signals.mix(speech, noise, snr_db=0, limit=True)
    assert np.abs(limited).max() == pytest.approx(1)
    quieter = signals.mix(speech / 9, noise, snr_db=0)
    assert np.corrcoef(limited, quieter)[0, 1] > 0.99999


def test_unlike_lengths_silence_and_nonsense_are_refused():
    speech, noise = spoken(), signals.white_noise(0.5, rng=rng())
    with pytest.raises(AudioError, match="fit_length"):
        signals.mix(speech, noise, snr_db=10)
    with pytest.raises(AudioError, match="noise"):
        signals.mix(speech, np.zeros_like(speech), snr_db=10)
    with pytest.raises(AudioError, match="signal"):
        signals.mix(np.zeros_like(noise), noise, snr_db=10)
    for snr_db in (np.nan, -np.inf):
        with pytest.raises(ValueError, match="snr_db"):
            signals.mix(noise, noise, snr_db=snr_db)


@pytest.mark.parametrize("n_noise", [1, 7, 100, 101, 1000])
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_fit_length_gives_a_stretch_of_the_looped_noise(n_noise, seed):
    noise = np.linspace(0.1, 0.9, n_noise, dtype=np.float32)
    fitted = signals.fit_length(
        noise, np.zeros(100), rng=None if seed is None else np.random.default_rng(seed)
    )
    start = int(np.flatnonzero(noise == fitted[0])[0])
    assert fitted.shape == (100,)
    np.testing.assert_array_equal(fitted, noise[(start + np.arange(100)) % n_noise])
    if n_noise >= 100:
        assert start + 100 <= n_noise
    if seed is None:
        assert start == 0


@pytest.mark.parametrize("seconds", [np.nan, np.inf, -1.0, 1e-6])
def test_impossible_lengths_are_refused(seconds):
    for make in (
        lambda: signals.white_noise(seconds, rng=rng()),
        lambda: signals.sine(440, seconds=seconds),
        lambda: signals.sample(np.sin, seconds=seconds),
    ):
        with pytest.raises(ValueError, match=r"seconds=|positive length"):
            make()
    for sample_rate in (0, -8000, np.nan):
        with pytest.raises(ValueError, match="sample_rate"):
            signals.sine(440, seconds=1, sample_rate=sample_rate)


# ------------------------------------------------------------------------------------------ measuring


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 40.0])
@pytest.mark.parametrize("pause", [0.1, 2.0])
def test_measured_ratio_is_the_one_that_was_mixed(pause, snr_db):
    speech = spoken(pause)
    noise = signals.white_noise(len(speech) / RATE, rng=rng())
    noisy = signals.mix(speech, noise, snr_db=snr_db)
    assert signals.snr_db(speech, noisy) == pytest.approx(snr_db, abs=0.15)


def test_measured_ratio_looks_at_speech_only_and_at_all_that_differs():
    speech = spoken(0.5)
    disturbed = speech.copy()
    disturbed[:4000] = 0.5
    assert signals.snr_db(speech, disturbed) == math.inf
    assert signals.snr_db(speech, speech) == math.inf
    assert signals.snr_db(speech, speech * np.float32(0.9)) == pytest.approx(20, abs=1e-3)
    assert signals.snr_db(speech, np.zeros_like(speech)) == pytest.approx(0, abs=1e-6)
    assert signals.snr_db(speech, 30 * speech) == pytest.approx(-20 * np.log10(29), abs=1e-3)


def test_ratio_of_unlike_or_unusable_clips_is_refused():
    speech = spoken()
    with pytest.raises(AudioError, match="same clip twice"):
        signals.snr_db(speech, speech[:-1])
    with pytest.raises(AudioError, match="clean"):
        signals.snr_db(np.zeros_like(speech), speech)
    with pytest.raises(AudioError):
        signals.snr_db(speech, speech + np.float32(np.nan))


# ------------------------------------------------------------------------------------------ tones


@pytest.mark.parametrize("hz", [0.5, 440.0, 3999.0])
@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100])
def test_sine_is_the_sine(hz, sample_rate):
    wave = signals.sine(hz, seconds=0.5, sample_rate=sample_rate, amplitude=0.7, phase=0.3)
    time = np.arange(sample_rate // 2) / sample_rate
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, 0.7 * np.sin(2 * np.pi * hz * time + 0.3), rtol=0, atol=1e-6)


@pytest.mark.parametrize("method", ["linear", "logarithmic"])
@pytest.mark.parametrize(("start", "stop"), [(100, 4000), (5000, 50), (440, 440), (200, 7900)])
def test_chirp_equals_scipy(method, start, stop):
    wave = signals.chirp(start, stop, seconds=1.5, amplitude=0.8, method=method)
    time = np.arange(24_000) / RATE
    expected = 0.8 * scipy.signal.chirp(time, start, 1.5, stop, method=method, phi=-90)
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, expected, rtol=0, atol=1e-6)


def test_chirps_differ_in_what_grows_evenly():
    time = np.arange(RATE) / RATE

    def heard(method, at):
        wave = signals.chirp(200, 3200, seconds=1, method=method).astype(np.float64)
        phase = np.unwrap(np.angle(scipy.signal.hilbert(wave)))
        return np.interp(at, time[1:], np.diff(phase) * RATE / (2 * np.pi))

    assert heard("linear", 0.5) == pytest.approx(1700, rel=0.01)
    assert heard("logarithmic", 0.5) == pytest.approx(800, rel=0.01)


def test_a_chirp_beyond_half_the_rate_comes_back_down():
    wave = signals.chirp(0, 8000, seconds=2, sample_rate=8000)

    def heard(time):
        around = wave[round(time * 8000) - 200 : round(time * 8000) + 200]
        power = np.abs(np.fft.rfft(around * np.hanning(400))) ** 2
        return np.average(np.arange(201) * 20, weights=power)

    for time in (0.25, 0.5, 0.75, 1.25, 1.5, 1.75):
        expected = signals.alias_frequency(4000 * time, sample_rate=8000)
        assert heard(time) == pytest.approx(expected, abs=30)


def test_square_wave_has_odd_partials_and_aliases():
    wave = signals.square(125, seconds=1, amplitude=0.25)
    assert set(wave.tolist()) == {-0.25, 0.25}
    assert wave.dtype == np.float32
    spectrum = np.abs(np.fft.rfft(wave)) / (len(wave) / 2)
    partials = np.array([1, 3, 5, 7])
    np.testing.assert_allclose(spectrum[125 * partials], 0.25 * 4 / (np.pi * partials), rtol=0.01)
    np.testing.assert_allclose(spectrum[250:1001:250], 0, atol=1e-6)

    wave = signals.square(1130, seconds=1)
    spectrum = np.abs(np.fft.rfft(wave))
    ninth = int(signals.alias_frequency(9 * 1130))
    around = np.delete(spectrum[ninth - 50 : ninth + 51], 50)
    assert spectrum[ninth] > 20 * np.median(around)


@pytest.mark.parametrize("make", [signals.sine, signals.square])
def test_impossible_tones_are_refused(make):
    for amplitude in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="amplitude"):
            make(440, seconds=1, amplitude=amplitude)
        with pytest.raises(ValueError, match="amplitude"):
            signals.chirp(440, 880, seconds=1, amplitude=amplitude)
    for hz in (np.nan, np.inf):
        with pytest.raises(ValueError, match="frequency"):
            make(hz, seconds=1)


def test_impossible_chirps_are_refused():
    with pytest.raises(ValueError, match="linear, logarithmic"):
        signals.chirp(100, 200, seconds=1, method="quadratic")
    for start, stop in ((0, 100), (100, 0), (-5, 100)):
        with pytest.raises(ValueError, match="above 0 Hz"):
            signals.chirp(start, stop, seconds=1, method="logarithmic")
    with pytest.raises(ValueError, match="stop"):
        signals.chirp(100, np.nan, seconds=1)


# ------------------------------------------------------------------------------------------ sampling


def test_sampling_reads_the_function_at_the_right_times():
    seen = []

    def ramp(time):
        seen.append(time)
        return time / 2

    samples = signals.sample(ramp, seconds=0.5, sample_rate=1000)
    np.testing.assert_array_equal(seen[0], np.arange(500) / 1000)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, np.arange(500) / 2000, atol=1e-7)
    assert signals.sample(lambda time: 0.25, seconds=1, sample_rate=4).tolist() == [0.25] * 4


def test_functions_that_cannot_be_sampled_are_refused():
    with pytest.raises(ValueError, match="one value for each time"):
        signals.sample(lambda time: np.zeros(3), seconds=1)
    with pytest.raises(AudioError, match="outside"):
        signals.sample(lambda time: 2 * np.cos(time), seconds=1)
    with pytest.raises(AudioError, match="NaN"):
        signals.sample(lambda time: np.full(time.shape, np.nan), seconds=1)


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_keeping_every_so_many_is_sampling_more_slowly(factor):
    fast = signals.sine(5000, seconds=0.21)
    slow = signals.keep_every(fast, factor)
    expected = signals.sine(5000, seconds=len(slow) * factor / RATE, sample_rate=RATE / factor)
    np.testing.assert_allclose(slow, expected[: len(slow)], atol=1e-6)
    slow[0] = 0.9
    assert fast[0] == 0


@pytest.mark.parametrize("factor", [0, -1, 1.5, 2.0, True, None])
def test_impossible_factors_are_refused(factor):
    with pytest.raises(ValueError, match="factor"):
        signals.keep_every(tone(), factor)


@pytest.mark.parametrize("hz", [0, 440, 3000, 3999, 4000, 4001, 5000, 8000, 9000, 12_345, 100_003])
@pytest.mark.parametrize("sample_rate", [8000, 11_025])
def test_alias_is_where_the_spectrum_peaks(hz, sample_rate):
    wave = signals.sine(hz, seconds=1, sample_rate=sample_rate, phase=np.pi / 2)
    heard = signals.alias_frequency(hz, sample_rate=sample_rate)
    assert isinstance(heard, float)
    assert np.abs(np.fft.rfft(wave)).argmax() == pytest.approx(heard, abs=0.51)


@given(
    hz=st.floats(-1e5, 1e5),
    turns=st.integers(-20, 20),
    sample_rate=st.sampled_from([8000, 11_025, 16_000, 44_100]),
)
def test_alias_lies_in_range_and_repeats_with_the_sample_rate(hz, turns, sample_rate):
    heard = signals.alias_frequency(hz, sample_rate=sample_rate)
    assert 0 <= heard <= sample_rate / 2
    for same in (hz + turns * sample_rate, turns * sample_rate - hz, heard):
        assert signals.alias_frequency(same, sample_rate=sample_rate) == pytest.approx(heard, abs=1e-6)
    numbers = np.arange(50)
    first, second = (np.cos(2 * np.pi * f * numbers / sample_rate) for f in (hz, heard))
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_alias_takes_arrays_and_refuses_nonsense():
    hz = np.array([100.0, 7900.0, 8100.0])
    np.testing.assert_allclose(signals.alias_frequency(hz, sample_rate=8000), 100)
    with pytest.raises(ValueError, match="finite"):
        signals.alias_frequency(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="sample_rate"):
        signals.alias_frequency(100, sample_rate=0)


# ------------------------------------------------------------------------------------------ reconstruction


def band_limited(time, *, seconds, top=3000):
    """A function of time with nothing above `top` Hz that fades at both ends."""
    draw = np.random.default_rng(3)
    hz, phase = draw.uniform(50, top, 12), draw.uniform(0, 2 * np.pi, 12)
    wave = np.sin(2 * np.pi * hz * time[:, np.newaxis] + phase).mean(axis=1)
    return wave * np.sin(np.pi * time / seconds) ** 4


def test_reconstruction_is_the_wave_and_equals_scipy():
    seconds, factor = 0.1, 4
    samples = signals.sample(
        lambda time: band_limited(time, seconds=seconds), seconds=seconds, sample_rate=8000
    )
    times = np.arange(len(samples) * factor) / (8000 * factor)
    wave = signals.sinc_reconstruct(samples, times=times, sample_rate=8000)
    assert wave.dtype == np.float32
    np.testing.assert_allclose(wave, band_limited(times, seconds=seconds), rtol=0, atol=1e-5)
    np.testing.assert_allclose(wave, scipy.signal.resample(samples, len(times)), rtol=0, atol=1e-5)


def test_reconstruction_errs_near_the_ends_only():
    samples = signals.sine(1000, seconds=0.2, sample_rate=8000, phase=1.0)
    times = np.arange(0.0, 0.2, 1 / 64_000)[:-8]
    error = np.abs(
        signals.sinc_reconstruct(samples, times=times, sample_rate=8000)
        - 0.5 * np.sin(2 * np.pi * 1000 * times + 1)
    )
    assert error[: len(error) // 20].max() > 0.02
    assert error[len(error) // 3 : -len(error) // 3].max() < 2e-3


def test_a_tone_above_half_the_rate_is_reconstructed_as_its_alias():
    samples = signals.sine(5000, seconds=0.2, sample_rate=8000)
    times = np.linspace(0.08, 0.12, 500)
    wave = signals.sinc_reconstruct(samples, times=times, sample_rate=8000)
    np.testing.assert_allclose(wave, -0.5 * np.sin(2 * np.pi * 3000 * times), atol=3e-3)


@given(
    samples=hnp.arrays(np.float32, st.integers(1, 40), elements=st.floats(-1, 1, width=32)),
    positions=st.lists(st.floats(-50, 90) | st.integers(-5, 45), max_size=20),
)
def test_reconstruction_is_the_sum_of_sincs(samples, positions):
    times = np.array(positions, dtype=float) / 8000
    expected = np.sinc(times[:, np.newaxis] * 8000 - np.arange(len(samples))) @ samples
    wave = signals.sinc_reconstruct(samples, times=times, sample_rate=8000)
    np.testing.assert_allclose(wave, expected, rtol=0, atol=1e-6)


def test_reconstruction_takes_many_times_in_any_order():
    samples = signals.white_noise(0.5, rng=rng())
    times = rng().permutation(len(samples)) / RATE
    expected = samples[np.round(times * RATE).astype(int)]
    np.testing.assert_allclose(signals.sinc_reconstruct(samples, times=times), expected, atol=1e-6)
    assert signals.sinc_reconstruct(samples, times=np.array([])).shape == (0,)


@pytest.mark.parametrize("times", [0.5, [[0.1]], [0.1, np.nan]])
def test_impossible_times_are_refused(times):
    with pytest.raises(ValueError, match="times of shape"):
        signals.sinc_reconstruct(tone(), times=np.array(times))


# ------------------------------------------------------------------------------------------ quantisation


full_range = hnp.arrays(np.float32, st.integers(1, 200), elements=st.floats(-1, 1, width=32))


@given(samples=full_range, bits=st.integers(2, 24))
def test_quantising_rounds_to_the_nearest_level(samples, bits):
    top = 2 ** (bits - 1) - 1
    rounded = signals.quantize(samples, bits=bits)
    assert rounded.dtype == np.float32
    steps = rounded.astype(np.float64) * top
    np.testing.assert_allclose(steps, np.round(steps), atol=top * 2.0**-24)
    assert np.abs(rounded).max() <= 1
    assert np.abs(samples.astype(np.float64) * top - np.round(steps)).max() <= 0.5 + 1e-6
    np.testing.assert_array_equal(signals.quantize(rounded, bits=bits), rounded)
    np.testing.assert_array_equal(signals.quantize(-samples, bits=bits), -rounded)


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_levels_are_one_less_than_a_power_of_two(bits):
    ramp = np.linspace(-1, 1, 20_001).astype(np.float32)
    levels = np.unique(signals.quantize(ramp, bits=bits))
    assert len(levels) == 2**bits - 1
    assert {-1.0, 0.0, 1.0} <= set(levels.tolist())
    np.testing.assert_allclose(np.diff(levels), 1 / (2 ** (bits - 1) - 1), rtol=1e-4)


@pytest.mark.parametrize(
    ("bits", "tolerance"), [(4, 0.9), (6, 0.3), (8, 0.1), (10, 0.1), (12, 0.1), (16, 0.1)]
)
def test_each_bit_adds_6_db(bits, tolerance):
    wave = signals.sine(997.3, seconds=4, amplitude=1.0)
    measured = signals.snr_db(wave, signals.quantize(wave, bits=bits))
    assert measured == pytest.approx(6.02 * bits + 1.76, abs=tolerance)


def faint(bits, *, steps):
    """A tone of so many steps of the quantiser."""
    return signals.sine(440, seconds=4, amplitude=steps / (2 ** (bits - 1) - 1))


def test_without_dither_a_faint_tone_vanishes_and_with_it_stays():
    wave = faint(8, steps=0.4)
    assert not signals.quantize(wave, bits=8).any()
    for dither in ("rectangular", "triangular"):
        noisy = signals.quantize(wave, bits=8, dither=dither, rng=rng())
        spectrum = np.abs(np.fft.rfft(noisy))
        assert spectrum.argmax() == 440 * 4
        np.testing.assert_allclose(np.dot(noisy, wave) / np.dot(wave, wave), 1, atol=0.05)


def test_dither_takes_the_tone_out_of_the_error():
    wave = faint(8, steps=1.3)
    distortion = {}
    for dither in ("none", "rectangular", "triangular"):
        error = signals.quantize(wave, bits=8, dither=dither, rng=rng()) - wave
        spectrum = np.abs(np.fft.rfft(error.astype(np.float64)))
        distortion[dither] = spectrum[440 * 4 * np.array([1, 3, 5])].max() / np.median(spectrum)
    assert distortion["none"] > 100
    assert distortion["rectangular"] < 5
    assert distortion["triangular"] < 5


def test_triangular_dither_makes_the_power_of_the_error_independent_of_the_signal():
    bits, step = 8, 1 / 127
    powers = {}
    for dither in ("none", "rectangular", "triangular"):
        powers[dither] = [
            float(np.mean(np.square(signals.quantize(clip, bits=bits, dither=dither, rng=rng()) - clip)))
            for clip in (np.full(40_000, offset * step) for offset in (0.0, 0.25, 0.5))
        ]
    np.testing.assert_allclose(powers["triangular"], step**2 / 4, rtol=0.03)
    assert np.ptp(powers["rectangular"]) > 0.2 * step**2
    assert np.ptp(powers["none"]) > 0.2 * step**2


def test_dither_stays_within_full_scale_and_repeats_with_its_seed():
    wave = signals.sine(440, seconds=1, amplitude=1.0)
    dithered = signals.quantize(wave, bits=3, dither="triangular", rng=rng())
    assert np.abs(dithered).max() <= 1
    np.testing.assert_array_equal(dithered, signals.quantize(wave, bits=3, dither="triangular", rng=rng()))


def test_impossible_quantisers_are_refused():
    for bits in (0, 1, 25, 8.0, 7.5, True, None):
        with pytest.raises(ValueError, match="bits"):
            signals.quantize(tone(), bits=bits)
    with pytest.raises(ValueError, match="none, rectangular, triangular"):
        signals.quantize(tone(), bits=8, dither="gaussian")
    with pytest.raises(ValueError, match="rng"):
        signals.quantize(tone(), bits=8, dither="triangular")
    with pytest.raises(AudioError, match="outside"):
        signals.quantize(np.array([0.5, 1.5]), bits=8)
