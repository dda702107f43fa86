"""Features: equal to librosa's, and right by properties that need no reference."""

import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.fft

from asrlib import features
from asrlib.errors import AudioError
from asrlib.features import (
    FeatureConfig,
    cmvn,
    delta,
    extract,
    frame,
    hz_to_mel,
    lifter,
    limit_range,
    log_mel,
    mel_filterbank,
    mel_to_hz,
    mfcc,
    power_spectrogram,
    window,
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
@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "rectangular"])
def test_power_spectrogram_equals_librosa(name, center):
    librosa = pytest.importorskip("librosa")
    config = FeatureConfig(window=name, center=center)
    samples = noise()
    spectrum = librosa.stft(
        samples, n_fft=512, hop_length=160, win_length=400, center=center,
        window="boxcar" if name == "rectangular" else name,
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
@pytest.mark.parametrize("normalization", ["none", "level", "mean", "both", "utterance"])
@pytest.mark.parametrize(("clips", "seconds"), [(70, 0.2), (3, 4.0), (1, 0.5)])
def test_a_batch_equals_its_clips(kind, normalization, clips, seconds):
    config = FeatureConfig(kind=kind, normalization=normalization, preemphasis=0.97)
    batch = noise(seconds, batch=(clips,))
    result = extract(batch, config)
    assert result.shape == (clips, config.n_frames(batch.shape[1]), config.n_coefficients)
    assert result.dtype == np.float32
    for clip, expected in zip(batch, result, strict=True):
        np.testing.assert_allclose(extract(clip, config), expected, atol=2e-5, rtol=1e-5)


def test_chunks_leave_no_seam(monkeypatch):
    samples = noise(2.0, batch=(3,))
    expected = log_mel(samples)
    for values in (1, 512 * 7, 512 * 193, 512 * 1000):
        monkeypatch.setattr("asrlib.features._CHUNK_VALUES", values)
        np.testing.assert_allclose(log_mel(samples), expected, atol=1e-5)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kind": "mfcc"},
        {"kind": "mfcc", "top_db": 60.0, "center": True, "preemphasis": 0.97},
        {"kind": "mfcc", "remove_dc": True, "first_coefficient": "frame_energy", "pad_end": True},
    ],
    ids=str,
)
def test_working_memory_does_not_grow_with_the_number_of_clips(settings):
    import tracemalloc

    config = FeatureConfig(**settings)

    def beside_the_result(n_clips):
        samples = noise(0.5, batch=(n_clips,))
        result = extract(samples, config)
        tracemalloc.start()
        extract(samples, config)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - result.nbytes

    few, many = beside_the_result(16), beside_the_result(256)
    assert many < 1.1 * few
    # Two chunks, frames and spectra, with what little goes with them; all frames at once would take 25 MB.
    assert many < 4 * 4 * features._CHUNK_VALUES


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
    result = extract(samples, FeatureConfig(normalization="utterance"))
    np.testing.assert_allclose(result.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(result.std(axis=0), 1, atol=1e-4)


def test_level_normalisation_removes_gain_and_keeps_the_colour():
    samples = noise()
    level = FeatureConfig(normalization="level")
    result = extract(samples, level)
    np.testing.assert_allclose(result, extract(4 * samples, level), atol=1e-4)
    plain = log_mel(samples)
    np.testing.assert_allclose(result, plain - plain.mean(), atol=1e-4)
    tilt = np.linspace(-1, 1, plain.shape[1], dtype=np.float32)  # another microphone stays audible
    np.testing.assert_allclose(cmvn(plain + tilt, "level"), cmvn(plain, "level") + tilt, atol=1e-4)


@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
def test_both_normalisations_stand_side_by_side(kind):
    samples, config = noise(), FeatureConfig(kind=kind, normalization="both")
    level, mean = np.split(extract(samples, config), 2, axis=1)
    np.testing.assert_array_equal(level, extract(samples, replace(config, normalization="level")))
    np.testing.assert_array_equal(mean, extract(samples, replace(config, normalization="mean")))


@pytest.mark.parametrize("log_unit", ["natural", "decibel"])
def test_limiting_the_range_later_equals_limiting_it_at_once(log_unit):
    samples = noise() * np.linspace(0, 1, 16_000, dtype=np.float32) ** 4
    limited = FeatureConfig(top_db=30.0, log_unit=log_unit)
    plain = log_mel(samples, replace(limited, top_db=None))
    np.testing.assert_array_equal(limit_range(plain, limited), log_mel(samples, limited))
    assert np.ptp(plain) > 1.2 * limited.from_db(30.0)
    np.testing.assert_array_equal(limit_range(plain, replace(limited, top_db=None)), plain)


def test_cmvn_masks_frames():
    given = noise(0.1).reshape(2, 20, 40)
    mask = np.zeros((2, 20), bool)
    mask[0, 3:9] = mask[1, 10:] = True
    normalised = cmvn(given, "mean", mask=mask)
    np.testing.assert_allclose(normalised[0, 3:9].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(normalised[0, 0], given[0, 0] - given[0, 3:9].mean(axis=0), atol=1e-6)
    with pytest.raises(ValueError, match="without any frame"):
        cmvn(given, "mean", mask=np.zeros((2, 20), bool))
    with pytest.raises(ValueError, match="mask has shape"):
        cmvn(given, "mean", mask=mask[0])


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
        ({"n_mels": 100, "mel_triangles": "bins", "mel_scale": "htk"}, "hold no frequency bin"),
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
        ({"center": True, "pad_end": True}, "leave pad_end False"),
        ({"padding": "wrap"}, "must be one of"),
        ({"window_position": "end"}, "must be one of"),
        ({"precision": "half"}, "must be one of"),
        ({"sample_scale": 0.0}, "above 0"),
        ({"lifter": -1}, "at least 0"),
        ({"remove_dc": 1}, "True or False"),
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


# Other libraries, to the digit.

RATES = [8000, 16_000]


def speech_like(sample_rate=16_000, seed=0):
    """Give integers / 32768, as 16-bit recordings are: a gliding voice in noise, then near silence."""
    rng = np.random.default_rng(seed)
    seconds = np.arange(int(0.8 * sample_rate)) / sample_rate
    phase = 2 * np.pi * np.cumsum(120 + 60 * seconds) / sample_rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20)) * np.exp(-(((seconds - 0.3) / 0.15) ** 2))
    samples = 0.3 * voice + rng.normal(0, 0.002, len(seconds)) + 0.01
    return (np.round(samples * 32768) / 32768).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
def test_librosa_preset_gives_librosas_numbers(kind, rate):
    librosa = pytest.importorskip("librosa")
    config = FeatureConfig.librosa(kind=kind, sample_rate=rate)
    for samples in (speech_like(rate), chirp(rate), noise(sample_rate=rate)):
        if kind == "mfcc":
            expected = librosa.feature.mfcc(y=samples, sr=rate)
        else:
            expected = librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=rate))
        # Cepstral coefficients reach some hundred dB, where float32 itself is no finer than 3e-5.
        np.testing.assert_allclose(extract(samples, config), expected.T, atol=1e-4, rtol=5e-7)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
@pytest.mark.parametrize("n_samples", [None, 300, 1000, 1001])
def test_python_speech_features_preset_gives_its_numbers(n_samples, kind, rate):
    peer = pytest.importorskip("python_speech_features", reason="python_speech_features is not installed")
    config = FeatureConfig.python_speech_features(kind=kind, sample_rate=rate)
    samples = speech_like(rate)[:n_samples]
    function = peer.mfcc if kind == "mfcc" else peer.logfbank
    expected = function(np.round(samples * 32768).astype(np.int16), rate)
    np.testing.assert_allclose(extract(samples, config), expected, atol=1e-4, rtol=0)


def kaldi(samples, rate, *, kind, **options):
    knf = pytest.importorskip("kaldi_native_fbank", reason="kaldi-native-fbank is not installed")
    settings = knf.MfccOptions() if kind == "mfcc" else knf.FbankOptions()
    settings.frame_opts.samp_freq, settings.frame_opts.dither = rate, 0
    for name, value in options.items():
        setattr(settings.frame_opts, name, value)
    computer = (knf.OnlineMfcc if kind == "mfcc" else knf.OnlineFbank)(settings)
    computer.accept_waveform(rate, (samples * 32768).tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("kind", ["log_mel", "mfcc"])
def test_kaldi_preset_gives_kaldis_numbers(kind, rate):
    config = FeatureConfig.kaldi(kind=kind, sample_rate=rate)
    for samples in (speech_like(rate), noise(sample_rate=rate)):
        # Both round in single precision; the lifter multiplies that by up to 12.
        expected = kaldi(samples, rate, kind=kind)
        np.testing.assert_allclose(extract(samples, config), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("ours", "theirs"), [("hamming", "hamming"), ("hann", "hanning"), ("rectangular",) * 2]
)
def test_kaldi_preset_with_other_windows(ours, theirs):
    samples = speech_like()
    expected = kaldi(samples, 16_000, kind="log_mel", window_type=theirs)
    config = FeatureConfig.kaldi(kind="log_mel", window=ours)
    np.testing.assert_allclose(extract(samples, config), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("preset", ["librosa", "kaldi", "python_speech_features"])
def test_presets_take_changes_and_survive_json(preset):
    config = getattr(FeatureConfig, preset)(n_mels=30, sample_rate=8000)
    assert (config.n_mels, config.sample_rate) == (30, 8000)
    assert FeatureConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="sample_rate"):
        getattr(FeatureConfig, preset)(sample_rate=0)


def test_the_presets_differ():
    samples = speech_like()
    shapes = {extract(samples, FeatureConfig.librosa()).shape, extract(samples, FeatureConfig.kaldi()).shape}
    shapes.add(extract(samples, FeatureConfig.python_speech_features()).shape)
    assert shapes == {(26, 20), (78, 13), (79, 13)}


def test_filterbank_equals_python_speech_features():
    peer = pytest.importorskip("python_speech_features", reason="python_speech_features is not installed")
    config = FeatureConfig.python_speech_features()
    np.testing.assert_allclose(mel_filterbank(config), peer.get_filterbanks(26, 512, 16_000), atol=1e-6)


@pytest.mark.parametrize("mel_scale", ["slaney", "htk"])
def test_filterbank_without_norm_equals_librosa(mel_scale):
    librosa = pytest.importorskip("librosa")
    config = FeatureConfig(mel_scale=mel_scale, mel_norm="none")
    expected = librosa.filters.mel(
        sr=16_000, n_fft=512, n_mels=40, fmin=20.0, htk=mel_scale == "htk", norm=None
    )
    np.testing.assert_allclose(mel_filterbank(config), expected, atol=1e-6)


def test_sides_straight_over_mel_add_up_to_one():
    """Two neighbouring sides cross at every point between two peaks, so each bin counts once in all."""
    weights = mel_filterbank(FeatureConfig(mel_triangles="mel", mel_norm="none", mel_scale="htk", n_fft=1024))
    peaks = weights.argmax(axis=1)
    np.testing.assert_allclose(weights.sum(axis=0)[peaks[0] + 1 : peaks[-1]], 1, atol=1e-5)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
def test_mel_scale_equals_librosa_and_comes_back(scale):
    librosa = pytest.importorskip("librosa")
    hz = np.linspace(0, 8000, 321)
    mel = hz_to_mel(hz, scale)
    np.testing.assert_allclose(mel, librosa.hz_to_mel(hz, htk=scale == "htk"), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(mel_to_hz(mel, scale), hz, rtol=1e-12, atol=1e-9)
    assert np.ndim(hz_to_mel(440.0, scale)) == 0
    with pytest.raises(ValueError, match="bark"):
        hz_to_mel(hz, "bark")
    with pytest.raises(ValueError, match="bark"):
        mel_to_hz(hz, "bark")


# Windows.


@pytest.mark.parametrize("length", [1, 2, 7, 400])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "rectangular"])
def test_windows_equal_scipys(name, symmetric, length):
    import scipy.signal

    expected = scipy.signal.get_window(
        "boxcar" if name == "rectangular" else name, length, fftbins=not symmetric
    )
    if length > 1:  # of one sample they are a matter of taste
        np.testing.assert_allclose(window(name, length, symmetric=symmetric), expected, atol=1e-12)
    assert window(name, length).shape == (length,)


def test_povey_window_is_a_hann_window_to_the_power_of_085():
    povey = window("povey", 400, symmetric=True)
    np.testing.assert_allclose(povey, np.hanning(400) ** 0.85, atol=1e-12)
    assert povey[0] == povey[-1] == 0
    np.testing.assert_allclose(povey, povey[::-1], atol=1e-12)


def test_windows_refuse_nonsense_and_cannot_be_changed():
    with pytest.raises(ValueError, match="kaiser"):
        window("kaiser", 400)
    for length in (0, -3, 2.5, True):
        with pytest.raises(ValueError, match="length"):
            window("hann", length)
    with pytest.raises(ValueError, match="read-only"):
        window("hann", 400)[0] = 1


# Frames beyond the ends.


@pytest.mark.parametrize(
    ("padding", "mode"),
    [("zeros", "constant"), ("reflect", "reflect"), ("symmetric", "symmetric"), ("edge", "edge")],
)
@pytest.mark.parametrize("batch", [(), (3,)])
def test_padding_modes_are_numpys(padding, mode, batch):
    samples = noise(0.1, batch=batch)
    centred = frame(samples, FeatureConfig(center=True, padding=padding))
    padded = np.pad(samples, [(0, 0)] * len(batch) + [(256, 256)], mode)
    np.testing.assert_array_equal(centred, frame(padded))


@pytest.mark.parametrize("padding", ["zeros", "reflect", "edge"])
def test_padded_features_equal_librosas(padding):
    librosa = pytest.importorskip("librosa")
    mode = {"zeros": "constant"}.get(padding, padding)
    config = FeatureConfig.librosa(kind="log_mel", padding=padding)
    samples = speech_like()
    power = librosa.feature.melspectrogram(y=samples, sr=16_000, pad_mode=mode)
    np.testing.assert_allclose(extract(samples, config), librosa.power_to_db(power).T, atol=1e-4)


@pytest.mark.parametrize("n_samples", [1, 399, 400, 401, 560, 561, 5000])
@pytest.mark.parametrize("position", ["middle", "start"])
def test_padding_the_end_puts_the_last_sample_into_a_frame(n_samples, position):
    config = FeatureConfig(pad_end=True, window_position=position)
    samples = np.zeros(n_samples, np.float32)
    samples[-1] = 1
    frames = frame(samples, config)
    assert frames.shape == (config.n_frames(n_samples), config.frame_length)
    assert frames[-1].max() == 1
    # One frame fewer would not reach it.
    assert (len(frames) - 2) * config.hop_length + config.frame_length < n_samples or len(frames) == 1


def test_a_recording_too_short_to_be_reflected_says_so():
    config = FeatureConfig(center=True, padding="reflect")
    assert len(frame(np.ones(257, np.float32), config)) == 2
    with pytest.raises(AudioError, match="cannot be reflected"):
        frame(np.ones(256, np.float32), config)


def test_where_the_window_lies_decides_the_frames_and_nothing_else():
    samples = noise()
    middle = power_spectrogram(samples, FeatureConfig())
    start = power_spectrogram(samples[56:], FeatureConfig(window_position="start"))
    np.testing.assert_allclose(start[: len(middle)], middle, rtol=1e-4, atol=1e-4)
    config = FeatureConfig(window_position="start")
    assert config.frame_length == config.window_length == 400
    assert config.times(1)[0] == pytest.approx(200 / 16_000)


@pytest.mark.parametrize(
    "arrange", [lambda x: x[::2], lambda x: x[::-1], lambda x: np.stack([x, x], axis=1)[:, 1]]
)
def test_samples_may_lie_anyhow_in_memory(arrange):
    samples = arrange(noise())
    expected = log_mel(samples.copy())
    np.testing.assert_allclose(log_mel(samples), expected, atol=1e-6)
    batch = np.asfortranarray(np.stack([samples, -samples, 2 * samples]))
    np.testing.assert_allclose(log_mel(batch)[1], expected, atol=1e-5)


# One step at a time.


def test_kinds_of_spectrum():
    samples = noise()
    power = power_spectrogram(samples)
    periodogram = power_spectrogram(samples, FeatureConfig(spectrum="periodogram"))
    magnitude = power_spectrogram(samples, FeatureConfig(spectrum="magnitude"))
    np.testing.assert_allclose(periodogram * 512, power, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(magnitude**2, power, rtol=1e-5, atol=1e-8)
    bands = log_mel(samples, FeatureConfig(spectrum="magnitude"))
    np.testing.assert_allclose(bands, np.log(magnitude @ mel_filterbank().T), atol=1e-5)
    bands = log_mel(samples, FeatureConfig(spectrum="periodogram"))
    np.testing.assert_allclose(bands, log_mel(samples) - np.log(512), atol=1e-5)


@pytest.mark.parametrize("position", ["middle", "start"])
def test_every_stage_follows_from_the_one_before(position):
    config = FeatureConfig(window_position=position, n_mfcc=40, lifter=22)
    samples = speech_like()
    frames = frame(samples, config)
    offset = (config.frame_length - 400) // 2
    power = np.abs(np.fft.rfft(frames[:, offset : offset + 400] * window("hann", 400), 512)) ** 2
    np.testing.assert_allclose(power_spectrogram(samples, config), power, rtol=1e-4, atol=1e-6)
    bands = np.log(np.maximum(power @ mel_filterbank(config).T, config.log_floor))
    np.testing.assert_allclose(log_mel(samples, config), bands, atol=1e-4)
    cepstra = lifter(scipy.fft.dct(bands, norm="ortho"), 22)
    np.testing.assert_allclose(mfcc(samples, config), cepstra, atol=1e-3)


def test_scale_adds_a_constant_and_decibels_multiply():
    samples = noise()
    plain = log_mel(samples)
    scaled = log_mel(samples, FeatureConfig(sample_scale=32768.0))
    np.testing.assert_allclose(scaled - plain, 2 * np.log(32768), atol=1e-4)
    decibel = FeatureConfig(log_unit="decibel", top_db=30.0)
    np.testing.assert_allclose(
        log_mel(samples, decibel),
        log_mel(samples, FeatureConfig(top_db=30.0)) * DECIBELS_PER_NEPER,
        atol=1e-3,
    )


def test_removing_dc_makes_an_offset_inaudible():
    config = FeatureConfig(remove_dc=True, window_position="start")
    samples = noise()
    shifted = log_mel(samples + np.float32(0.3), config)
    np.testing.assert_allclose(shifted, log_mel(samples, config), atol=1e-3)
    assert np.abs(log_mel(samples + np.float32(0.3)) - log_mel(samples)).max() > 1


def test_preemphasis_of_frames_differs_in_their_first_sample_alone():
    samples = noise()
    whole = FeatureConfig(preemphasis=0.97, window="rectangular", window_position="start", n_fft=400)
    single = dataclasses.replace(whole, preemphasis_per_frame=True)
    frames = frame(samples, whole).astype(np.float64)
    filtered = frames - 0.97 * np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    by_hand = np.abs(np.fft.rfft(filtered)) ** 2
    np.testing.assert_allclose(power_spectrogram(samples, single), by_hand, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        power_spectrogram(samples, whole)[0], power_spectrogram(samples, single)[0], rtol=1e-4, atol=1e-5
    )
    # A window that starts at zero hides the difference almost entirely.
    assert np.abs(power_spectrogram(samples, whole)[1:] - by_hand[1:]).max() > 0.01


def test_preemphasis_from_zero_keeps_the_first_sample():
    samples = noise()
    by_hand = samples.copy()
    by_hand[1:] -= np.float32(0.97) * samples[:-1]
    config = FeatureConfig(
        preemphasis=0.97, preemphasis_start="zero", window="rectangular", precision="double"
    )
    plain = FeatureConfig(window="rectangular", precision="double")
    np.testing.assert_allclose(log_mel(samples, config), log_mel(by_hand, plain), atol=1e-5)


def test_energy_takes_the_place_of_the_first_coefficient():
    samples = noise()
    plain = mfcc(samples)
    of_frames = mfcc(samples, FeatureConfig(first_coefficient="frame_energy"))
    np.testing.assert_array_equal(of_frames[:, 1:], plain[:, 1:])
    under_window = frame(samples)[:, 56:456].astype(np.float64)
    np.testing.assert_allclose(of_frames[:, 0], np.log((under_window**2).sum(axis=1)), atol=1e-5)
    of_spectra = mfcc(samples, FeatureConfig(first_coefficient="spectrum_energy"))
    np.testing.assert_allclose(of_spectra[:, 0], np.log(power_spectrogram(samples).sum(axis=1)), atol=1e-5)
    silent = mfcc(np.zeros(8000, np.float32), FeatureConfig(first_coefficient="frame_energy"))
    np.testing.assert_allclose(silent[:, 0], np.log(1e-10), rtol=1e-6)


def test_single_precision_equals_double_within_70_db_of_the_loudest_band():
    for samples in (noise(), chirp(), speech_like()):
        double = log_mel(samples, FeatureConfig(precision="double"))
        single = log_mel(samples, FeatureConfig(precision="single"))
        near = double > double.max(axis=1, keepdims=True) - 70 / DECIBELS_PER_NEPER
        assert near.mean() > 0.15  # of a chirp, few bands are
        np.testing.assert_allclose(single[near], double[near], atol=1e-4, rtol=0)


@pytest.mark.parametrize(("precision", "expected"), [("single", np.float32), ("double", np.float64)])
def test_the_transform_runs_in_the_stated_precision(monkeypatch, precision, expected):
    seen, rfft = [], scipy.fft.rfft
    monkeypatch.setattr(scipy.fft, "rfft", lambda x, **options: seen.append(x.dtype) or rfft(x, **options))
    extract(noise(batch=(3,)), FeatureConfig(kind="mfcc", precision=precision))
    assert seen
    assert set(seen) == {np.dtype(expected)}


# Over the coefficients, and over time.


def test_lifter_is_the_sine_of_its_formula():
    cepstra = noise(0.01).reshape(-1, 20)
    expected = cepstra * (1 + 11 * np.sin(np.pi * np.arange(20) / 22))
    np.testing.assert_allclose(lifter(cepstra), expected, rtol=1e-6)
    np.testing.assert_array_equal(lifter(cepstra, 0), cepstra)
    assert lifter(cepstra.astype(np.float64)).dtype == np.float32
    for n in (-1, 2.5, True):
        with pytest.raises(ValueError, match="whole number"):
            lifter(cepstra, n)


def test_lifter_equals_python_speech_features():
    peer = pytest.importorskip("python_speech_features", reason="python_speech_features is not installed")
    cepstra = noise(0.1).reshape(-1, 16)
    np.testing.assert_allclose(lifter(cepstra, 22), peer.lifter(cepstra, 22), rtol=1e-6)


@pytest.mark.parametrize("width", [5, 9, 11])
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_delta_equals_librosas(batch, order, width):
    librosa = pytest.importorskip("librosa")
    given = np.random.default_rng(0).normal(0, 10, (*batch, 40, 13)).astype(np.float32)
    expected = librosa.feature.delta(given, width=width, order=order, axis=-2)
    result = delta(given, width=width, order=order)
    np.testing.assert_allclose(result, expected, atol=1e-4)
    assert result.dtype == np.float32


@pytest.mark.parametrize("reach", [1, 2, 4])
def test_delta_with_repeated_edges_equals_python_speech_features(reach):
    peer = pytest.importorskip("python_speech_features", reason="python_speech_features is not installed")
    given = np.random.default_rng(0).normal(0, 10, (7, 13)).astype(np.float32)
    expected = peer.delta(given, reach)
    np.testing.assert_allclose(delta(given, width=2 * reach + 1, edges="repeat"), expected, atol=1e-5)


def test_delta_of_polynomials():
    frames = np.arange(20.0)[:, np.newaxis]
    np.testing.assert_allclose(delta(3 * frames + 7), 3, atol=1e-5)
    np.testing.assert_allclose(delta(0.5 * frames**2, order=2), 1, atol=1e-4)
    np.testing.assert_allclose(delta(np.full((20, 4), 5.0)), 0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 8}, "odd"),
        ({"width": 1}, "at least 3"),
        ({"width": 3, "order": 3}, "above the order"),
        ({"order": 0}, "at least 1"),
        ({"order": 1.5}, "whole number"),
        ({"edges": "wrap"}, "must be one of"),
        ({"width": 21}, "fewer than width"),
    ],
)
def test_impossible_deltas_say_why(options, message):
    with pytest.raises(ValueError, match=message):
        delta(np.zeros((20, 13)), **options)


def test_delta_refuses_what_is_not_features():
    with pytest.raises(ValueError, match="expected"):
        delta(np.zeros(20))


# What was saved stays what it was.


def test_settings_of_an_older_file_mean_what_they_meant():
    old = {
        "sample_rate": 16_000, "window_seconds": 0.025, "hop_seconds": 0.01, "n_fft": 512, "window": "hann",
        "n_mels": 40, "f_min": 20.0, "f_max": 4000.0, "mel_scale": "slaney", "kind": "log_mel", "n_mfcc": 13,
        "preemphasis": 0.0, "center": False, "normalization": "mean", "log_floor": 1e-10, "top_db": 40.0,
    }  # fmt: skip
    config = FeatureConfig.from_dict(old)
    assert config == FeatureConfig(f_max=4000.0, normalization="mean", top_db=40.0)
    # Its features were computed in double precision then.
    double = dataclasses.replace(config, precision="double")
    for samples in (speech_like(), chirp(), noise()):
        np.testing.assert_allclose(extract(samples, config), extract(samples, double), atol=1e-4)


def test_features_load_neither_librosa_nor_tensorflow():
    code = (
        "import sys, numpy, asrlib.features as f; f.mfcc(numpy.zeros(16000, 'f4'), f.FeatureConfig.kaldi());"
        "sys.exit(bool({'librosa', 'tensorflow', 'keras', 'numba'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
