"""Noises have the spectrum and level they claim; mixtures have the ratio they were asked for."""

import numpy as np
import pytest

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
    return [signals.white_noise, signals.pink_noise, signals.hiss, signals.hum]


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
    ("make", "slope_db"), [(signals.white_noise, 3.01), (signals.pink_noise, 0.0), (signals.hiss, 9.03)]
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
