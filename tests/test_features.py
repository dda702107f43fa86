"""Features: equal to librosa's, and right by properties that need no reference."""

import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

from asrlib.errors import AudioError
from asrlib.features import (
    FeatureConfig,
    cmvn,
    extract,
    frame,
    log_mel,
    mel_filterbank,
    mfcc,
    power_spectrogram,
)

DECIBELS_PER_NEPER = 10 / np.log(10)
SIZES = [
    {},
    {"n_fft": 400, "n_mels": 26},
    {"n_fft": 1024, "window_seconds": 0.032, "hop_seconds": 0.016, "n_mels": 64, "f_min": 0.0},
    {"sample_rate": 8000, "n_fft": 256, "n_mels": 23, "f_min": 64.0, "f_max": 3800.0, "window": "hamming"},
    {"n_fft": 513, "n_mels": 32, "window": "blackman", "hop_seconds": 0.0125},
]


def noise(seconds=1.0, *, sample_rate=16_000, seed=0, batch=()):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.1, (*batch, int(seconds * sample_rate))).astype(np.float32)


def chirp(sample_rate=16_000):
    seconds = np.arange(sample_rate) / sample_rate
    return (0.5 * np.sin(2 * np.pi * (100 * seconds + 0.5 * 3000 * seconds**2))).astype(np.float32)


def librosa_mel_power(samples, config):
    librosa = pytest.importorskip("librosa")
    window = "boxcar" if config.window == "rectangular" else config.window
    return librosa.feature.melspectrogram(
        y=samples, sr=config.sample_rate, n_fft=config.n_fft, hop_length=config.hop_length,
        win_length=config.window_length, window=window, center=config.center, power=2.0, n_mels=config.n_mels,
        fmin=config.f_min, fmax=config.f_max, htk=config.mel_scale == "htk",
    )  # fmt: skip


def librosa_log_mel(samples, config):
    import librosa

    power = librosa_mel_power(samples, config)
    decibels = librosa.power_to_db(power, ref=1.0, amin=config.log_floor, top_db=config.top_db)
    return np.swapaxes(decibels, -1, -2) / DECIBELS_PER_NEPER


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"n_fft={size.get('n_fft', 512)}")
@pytest.mark.parametrize("sound", ["noise", "chirp"])
def test_log_mel_and_mfcc_equal_librosa(sound, size, mel_scale, center):
    librosa = pytest.importorskip("librosa")
    config = FeatureConfig(**size, mel_scale=mel_scale, center=center, precision="double")
    samples = noise(sample_rate=config.sample_rate) if sound == "noise" else chirp(config.sample_rate)
    expected = librosa_log_mel(samples, config)
    np.testing.assert_allclose(log_mel(samples, config), expected, atol=1e-4, rtol=0)
    cepstrum = (
        librosa.feature.mfcc(S=expected.T * DECIBELS_PER_NEPER, n_mfcc=config.n_mfcc).T / DECIBELS_PER_NEPER
    )
    np.testing.assert_allclose(mfcc(samples, config), cepstrum, atol=1e-4, rtol=1e-5)


def real_clips(count):
    roots = [os.environ.get("ASRLIB_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    for root in filter(None, roots):
        found = sorted(Path(root).glob("**/recordings/*.wav"))
        if found:
            return found[:: len(found) // count][:count]
    return []


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
def test_log_mel_equals_librosa_on_real_recordings(mel_scale, center):
    soundfile = pytest.importorskip("soundfile")
    clips = real_clips(12)
    if not clips:
        pytest.skip("the Free Spoken Digit Dataset is not here; set ASRLIB_DATA to the folder that holds it")
    config = FeatureConfig(sample_rate=8000, n_fft=256, n_mels=30, mel_scale=mel_scale, center=center)
    for clip in clips:
        samples, rate = soundfile.read(clip, dtype="float32")
        assert rate == config.sample_rate
        np.testing.assert_allclose(
            log_mel(samples, config), librosa_log_mel(samples, config), atol=1e-4, rtol=0
        )


@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
@pytest.mark.parametrize("n_mels", [13, 40, 80])
def test_filterbank_equals_librosa(mel_scale, n_mels):
    librosa = pytest.importorskip("librosa")
    config = FeatureConfig(n_mels=n_mels, mel_scale=mel_scale, n_fft=2048, window_seconds=0.1)
    expected = librosa.filters.mel(sr=16_000, n_fft=2048, n_mels=n_mels, fmin=20.0, htk=mel_scale == "htk")
    np.testing.assert_allclose(mel_filterbank(config), expected, atol=1e-7, rtol=1e-5)


def test_bands_peak_at_their_frequencies():
    config = FeatureConfig(n_fft=16_000, n_mels=30)  # bins 1 Hz apart
    np.testing.assert_allclose(mel_filterbank(config).argmax(axis=1), config.band_frequencies(), atol=0.5)


def test_filterbank_is_cached_and_cannot_be_changed():
    assert mel_filterbank(FeatureConfig()) is mel_filterbank(FeatureConfig(kind="mfcc"))
    with pytest.raises(ValueError, match="read-only"):
        mel_filterbank()[0, 0] = 1


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("window", ["hann", "hamming", "blackman", "rectangular"])
def test_power_spectrogram_equals_librosa(window, center):
    librosa = pytest.importorskip("librosa")
    config = FeatureConfig(window=window, center=center)
    samples = noise()
    spectrum = librosa.stft(
        samples, n_fft=512, hop_length=160, win_length=400, center=center,
        window="boxcar" if window == "rectangular" else window,
    )  # fmt: skip
    np.testing.assert_allclose(
        power_spectrogram(samples, config), np.abs(spectrum.T) ** 2, rtol=1e-4, atol=1e-5
    )


def test_power_spectrogram_keeps_the_energy():
    """Parseval: the power of all bins of the two-sided spectrum is n_fft times the frame's energy."""
    config = FeatureConfig(window="rectangular", n_fft=400)
    samples = noise()
    power = power_spectrogram(samples, config)
    two_sided = power.sum(axis=1) + power[:, 1:-1].sum(axis=1)
    np.testing.assert_allclose(two_sided, 400 * (frame(samples, config) ** 2).sum(axis=1), rtol=1e-5)


def test_a_tone_peaks_at_its_frequency():
    config = FeatureConfig(n_fft=640, window_seconds=0.04)
    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000).astype(np.float32)
    assert (power_spectrogram(tone, config).argmax(axis=1) == 1000 / (16_000 / 640)).all()
    # Amplitude 1 through a Hann window (mean 1/2): |X| = N/4 at the peak.
    np.testing.assert_allclose(power_spectrogram(tone, config).max(axis=1), (640 / 4) ** 2, rtol=1e-4)


def test_frames_are_views_of_the_samples():
    samples = noise()
    frames = frame(samples)
    assert np.shares_memory(frames, samples)
    np.testing.assert_array_equal(frames[3], samples[3 * 160 : 3 * 160 + 512])


def test_frames_equal_librosas():
    librosa = pytest.importorskip("librosa")
    samples = noise()
    np.testing.assert_array_equal(
        frame(samples), librosa.util.frame(samples, frame_length=512, hop_length=160).T
    )


@pytest.mark.parametrize("n_samples", [512, 513, 671, 672, 673, 5000])
def test_only_whole_frames_count(n_samples):
    frames = frame(np.ones(n_samples, np.float32))
    assert len(frames) == FeatureConfig().n_frames(n_samples) == 1 + (n_samples - 512) // 160
    assert (frames == 1).all()


@pytest.mark.parametrize("n_samples", [1, 100, 160, 511, 5000])
def test_centred_frames_reach_beyond_the_ends(n_samples):
    config = FeatureConfig(center=True)
    frames = frame(np.ones(n_samples, np.float32), config)
    assert len(frames) == config.n_frames(n_samples) == 1 + n_samples // 160
    assert frames[0, :256].max() == 0
    assert frames[0, 256] == 1


@pytest.mark.parametrize("center", [False, True])
def test_times_point_at_the_middle_of_each_frame(center):
    config = FeatureConfig(center=center)
    clicks = np.zeros(16_000, np.float32)
    at = 0.5
    clicks[int(at * 16_000)] = 1
    loudest = log_mel(clicks, config).sum(axis=1).argmax()
    times = config.times(config.n_frames(16_000))
    assert abs(times[loudest] - at) <= config.hop_seconds / 2
    assert len(times) == len(log_mel(clicks, config))


@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
@pytest.mark.parametrize("normalization", ["none", "mean", "utterance"])
@pytest.mark.parametrize(("clips", "seconds"), [(70, 0.2), (3, 4.0), (1, 0.5)])
def test_a_batch_equals_its_clips(kind, normalization, clips, seconds):
    config = FeatureConfig(kind=kind, normalization=normalization, preemphasis=0.97)
    batch = noise(seconds, batch=(clips,))
    features = extract(batch, config)
    assert features.shape == (clips, config.n_frames(batch.shape[1]), config.n_coefficients)
    assert features.dtype == np.float32
    for clip, expected in zip(batch, features, strict=True):
        np.testing.assert_allclose(extract(clip, config), expected, atol=2e-5, rtol=1e-5)


def test_chunks_leave_no_seam(monkeypatch):
    samples = noise(2.0, batch=(3,))
    expected = log_mel(samples)
    for values in (1, 512 * 7, 512 * 193, 512 * 1000):
        monkeypatch.setattr("asrlib.features._CHUNK_VALUES", values)
        np.testing.assert_allclose(log_mel(samples), expected, atol=1e-5)


def test_memory_stays_near_the_size_of_the_result():
    import tracemalloc

    samples = noise(1.0, batch=(200,))
    result = log_mel(samples)
    tracemalloc.start()
    log_mel(samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All frames at once would take 512 / 40 times the result, and their spectra as much again.
    assert peak < 3 * result.nbytes


def test_gain_adds_a_constant():
    samples = noise()
    np.testing.assert_allclose(log_mel(4 * samples) - log_mel(samples), np.log(16), atol=1e-4)
    cepstral = mfcc(4 * samples) - mfcc(samples)
    np.testing.assert_allclose(cepstral[:, 1:], 0, atol=1e-4)
    np.testing.assert_allclose(cepstral[:, 0], np.log(16) * np.sqrt(40), atol=1e-3)


def test_dc_shift_moves_only_bands_beside_zero():
    config = FeatureConfig(n_fft=400)  # as long as the window: Hann leaks into the neighbouring bin alone
    samples = noise()
    far = mel_filterbank(config)[:, :2].max(axis=1) == 0
    change = np.abs(log_mel(samples + np.float32(0.3), config) - log_mel(samples, config))
    assert far.sum() >= 38
    assert change[:, far].max() < 1e-3
    assert change[:, ~far].max() > 0.1


def test_mean_normalisation_removes_gain_and_utterance_gives_unit_variance():
    samples = noise()
    mean = FeatureConfig(normalization="mean")
    np.testing.assert_allclose(extract(samples, mean), extract(4 * samples, mean), atol=1e-4)
    features = extract(samples, FeatureConfig(normalization="utterance"))
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-4)


def test_cmvn_masks_frames():
    features = noise(0.1).reshape(2, 20, 40)
    mask = np.zeros((2, 20), bool)
    mask[0, 3:9] = mask[1, 10:] = True
    normalised = cmvn(features, "mean", mask=mask)
    np.testing.assert_allclose(normalised[0, 3:9].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(normalised[0, 0], features[0, 0] - features[0, 3:9].mean(axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="without any frame"):
        cmvn(features, "mean", mask=np.zeros((2, 20), bool))
    with pytest.raises(ValueError, match="mask has shape"):
        cmvn(features, "mean", mask=mask[0])


def test_silence_lies_on_the_floor_and_normalises_to_zero():
    silence = np.zeros(8000, np.float32)
    np.testing.assert_allclose(log_mel(silence, FeatureConfig(log_floor=1e-6)), np.log(1e-6), rtol=1e-6)
    assert not extract(silence, FeatureConfig(normalization="utterance")).any()


def test_preemphasis_is_the_difference_equation():
    samples = noise()
    by_hand = samples.copy()
    by_hand[1:] -= np.float32(0.97) * samples[:-1]
    by_hand[0] *= np.float32(1 - 0.97)
    np.testing.assert_allclose(log_mel(samples, FeatureConfig(preemphasis=0.97)), log_mel(by_hand), atol=1e-4)


def test_float64_gives_float32_and_the_input_stays():
    samples = noise()
    before = samples.copy()
    result = extract(samples.astype(np.float64))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, extract(samples))
    np.testing.assert_array_equal(samples, before)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(511, np.float32), r"511 samples|shorter than one frame"),
        (np.zeros(0, np.float32), "shorter than one frame"),
        (np.zeros((0, 16_000), np.float32), "shape"),
        (np.zeros((2, 2, 16_000), np.float32), "expected"),
        (np.zeros(16_000, np.int16), "int16"),
        (np.full(16_000, np.nan, np.float32), "NaN"),
    ],
)
def test_bad_samples_say_why(samples, message):
    for function in (frame, power_spectrogram, log_mel, mfcc, extract):
        with pytest.raises(AudioError, match=message):
            function(samples)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window_seconds": 0.05}, "more than n_fft=512"),
        ({"f_max": 9000.0}, "above half the sample rate"),
        ({"f_min": 8000.0}, "below the upper edge"),
        ({"f_min": -1.0}, "at least 0"),
        ({"n_mfcc": 41}, "cannot come from n_mels=40"),
        ({"n_mels": 200}, "hold no frequency bin"),
        ({"window": "kaiser"}, "must be one of"),
        ({"mel_scale": "bark"}, "must be one of"),
        ({"kind": "plp"}, "must be one of"),
        ({"normalization": True}, "must be one of"),
        ({"hop_seconds": 0.0}, "at least one sample"),
        ({"hop_seconds": float("nan")}, "finite"),
        ({"preemphasis": 1.0}, "below 1"),
        ({"log_floor": 0.0}, "log_floor"),
        ({"n_fft": 512.0}, "whole number"),
        ({"n_mels": True}, "whole number"),
        ({"sample_rate": 0}, "at least 1"),
        ({"center": "yes"}, "True or False"),
    ],
)
def test_contradicting_settings_say_which(settings, message):
    with pytest.raises(ValueError, match=message):
        FeatureConfig(**settings)


def test_config_survives_json_and_refuses_strangers():
    config = FeatureConfig(n_mels=64, kind="mfcc", f_max=7600.0, n_fft=np.int64(1024))
    assert FeatureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="n_mel"):
        FeatureConfig.from_dict({"n_mel": 40})
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.n_mels = 3


@pytest.mark.parametrize("top_db", [20.0, 60.0])
def test_limited_range_equals_librosa_and_is_per_recording(top_db):
    config = FeatureConfig(top_db=top_db)
    loud = chirp() + noise() * 1e-3
    np.testing.assert_allclose(log_mel(loud, config), librosa_log_mel(loud, config), atol=1e-4)
    batch = log_mel(np.stack([loud, 0.01 * loud]), config)
    np.testing.assert_allclose(batch[1], log_mel(0.01 * loud, config), atol=1e-4)
    assert np.ptp(batch[1]) <= top_db / DECIBELS_PER_NEPER + 1e-4


def test_limited_range_reaches_the_cepstrum():
    config = FeatureConfig(top_db=30.0, n_mfcc=40)
    limited = log_mel(chirp(), config)
    back = scipy.fft.idct(mfcc(chirp(), config), axis=-1, norm="ortho")
    np.testing.assert_allclose(back, limited, atol=1e-3)


@pytest.mark.parametrize("top_db", [0, -3.0, float("nan"), "80"])
def test_impossible_range_is_refused(top_db):
    with pytest.raises(ValueError, match="top_db"):
        FeatureConfig(top_db=top_db)
