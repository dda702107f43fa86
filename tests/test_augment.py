"""Augmentation changes what it says it changes, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from asrlib import audio, features, signals
from asrlib.augment import (
    Augmentation,
    augment,
    band_limit,
    change_speed,
    fade_edge,
    mask_features,
    mix_up,
    reverberate,
    tilt,
    trim_quiet_edges,
    wander,
    warp_frequency,
)

RATE = 16_000


def tone(hz: float, seconds: float = 1.0, amplitude: float = 0.1) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def peak_hz(samples: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(samples * np.hanning(len(samples)))).argmax() * RATE / len(samples))


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.1, 1.5])
def test_speed_moves_length_and_pitch_together(factor):
    fast = change_speed(tone(500), factor)
    assert len(fast) == pytest.approx(RATE / factor, abs=2)
    assert peak_hz(fast) == pytest.approx(500 * factor, rel=0.01)


def test_speed_one_changes_nothing():
    samples = tone(300)
    assert change_speed(samples, 1.0) is samples


@pytest.mark.parametrize("factor", [0.0, -1.0, 5.0, float("nan")])
def test_impossible_speed_is_refused(factor):
    with pytest.raises(ValueError, match="factor"):
        change_speed(tone(300), factor)


def test_reverberation_adds_the_energy_asked_for_and_decays():
    click = np.zeros(2 * RATE, np.float32)
    click[0] = 1.0
    echoes = reverberate(click, seconds=0.5, wet_db=-6, rng=np.random.default_rng(0))[1:]
    assert 10 * np.log10(np.square(echoes).sum()) == pytest.approx(-6, abs=0.1)
    early, late = (np.square(echoes[a : a + 800]).mean() for a in (0, 6400))
    assert 10 * np.log10(early / late) == pytest.approx(60 * 6400 / RATE / 0.5, abs=2)


@pytest.mark.parametrize(
    ("hz", "kept"), [(100, False), (1000, True), (2500, True), (5000, False), (7000, False)]
)
def test_telephone_band_keeps_its_band_only(hz, kept):
    heard = band_limit(tone(hz), low_hz=300, high_hz=3400)[RATE // 4 :]
    loss_db = audio.level_db(tone(hz)) - audio.level_db(heard)
    assert loss_db < 1.5 if kept else loss_db > 40


@pytest.mark.parametrize("band", [(-1, 3000), (3000, 300), (0, 8000), (300, 9000)])
def test_impossible_band_is_refused(band):
    with pytest.raises(ValueError, match="band"):
        band_limit(tone(300), low_hz=band[0], high_hz=band[1])


@pytest.mark.parametrize("slope", [-3.0, 2.0])
def test_tilt_is_a_straight_line_over_octaves(slope):
    gains = [
        audio.level_db(tilt(tone(hz), db_per_octave=slope)) - audio.level_db(tone(hz))
        for hz in (500, 1000, 4000)
    ]
    np.testing.assert_allclose(gains, [-slope, 0, 2 * slope], atol=0.05)


def test_trimming_cuts_the_weak_start_of_a_word_and_not_its_middle():
    word = np.concatenate([tone(3000, 0.1, 0.005), tone(300, 0.2), tone(300, 0.1, 0.005), tone(300, 0.2)])
    assert len(trim_quiet_edges(word, threshold_db=-20)) == pytest.approx(0.5 * RATE, abs=RATE // 100)
    assert len(trim_quiet_edges(word, threshold_db=-40)) == len(word)


def test_warping_up_and_down_again_gives_back_the_middle():
    smooth = np.sin(np.arange(40) / 6.0)[None].astype(np.float32)
    back = warp_frequency(warp_frequency(smooth, 1.15), 1 / 1.15)
    np.testing.assert_allclose(back[:, 2:30], smooth[:, 2:30], atol=0.02)
    np.testing.assert_array_equal(warp_frequency(smooth, 1.0), smooth)


@pytest.mark.parametrize("edge", ["start", "stop"])
def test_a_faded_edge_loses_along_a_straight_line_and_the_rest_stays(edge):
    picture = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
    lost = picture - fade_edge(picture, by=3.0, n_frames=20, edge=edge)
    lost = lost if edge == "start" else lost[::-1]
    expected = np.concatenate([np.linspace(3, 0, 20, endpoint=False), np.zeros(30)])
    np.testing.assert_allclose(lost, np.repeat(expected[:, None], 6, axis=1), atol=1e-6)


def test_a_fade_of_the_features_is_a_fade_of_the_sound():
    config = features.FeatureConfig()
    sound = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32)
    gain_db = np.concatenate([np.linspace(-20, 0, RATE // 2), np.zeros(RATE // 2)])
    heard = features.log_mel(sound * (10 ** (gain_db / 20)).astype(np.float32), config)
    made = fade_edge(features.log_mel(sound, config), by=config.from_db(20.0), n_frames=50)
    difference_db = np.abs(heard - made).mean() / config.from_db(1.0)
    assert difference_db < 0.5  # a frame is 25 ms long, and the gain changes within it


def test_at_most_half_of_a_short_word_fades():
    faded = fade_edge(np.zeros((10, 1)), by=2.0, n_frames=100)
    assert faded[0] == -2 and faded[4] < 0 and not faded[5:].any()
    np.testing.assert_array_equal(fade_edge(np.zeros((1, 2)), by=2.0, n_frames=4), np.zeros((1, 2)))


@pytest.mark.parametrize("wrong", [{"by": -1.0}, {"by": np.inf}, {"n_frames": -1}, {"edge": "end"}])
def test_an_impossible_fade_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        fade_edge(np.zeros((10, 3)), **{"by": 1.0, "n_frames": 4} | wrong)


@pytest.mark.parametrize("axis", [0, 1])
def test_wandering_adds_one_curve_with_corners_where_it_says(axis):
    rng = np.random.default_rng(1)
    shape = (73, 21)
    curves = []
    for _ in range(300):
        added = wander(np.ones(shape, np.float32), by=0.5, every=10, axis=axis, rng=rng) - 1
        curve = added.take(0, axis=1 - axis)
        np.testing.assert_allclose(added, np.broadcast_to(np.expand_dims(curve, 1 - axis), shape), atol=1e-6)
        curves.append(curve)
    n_corners = shape[axis] // 10 + 2
    corners = np.linspace(0, shape[axis] - 1, n_corners)
    assert np.std([curve[[0, -1]] for curve in curves]) == pytest.approx(0.5, rel=0.1)
    assert np.mean(curves) == pytest.approx(0, abs=0.05)
    bends = np.abs(np.diff(curves, n=2, axis=1)).max(axis=0)  # straight but beside a corner
    straight = [i for i in range(1, shape[axis] - 1) if np.abs(corners - i).min() > 1]
    assert bends[np.array(straight) - 1].max() < 1e-5 < bends.max()


def test_wandering_by_nothing_changes_nothing():
    picture = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    kept = wander(picture, by=0.0, every=12, axis=0, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(kept, picture)
    assert kept.dtype == np.float32


@pytest.mark.parametrize("wrong", [{"by": -1.0}, {"by": np.nan}, {"every": 0}, {"axis": 2}])
def test_impossible_wandering_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        wander(
            np.zeros((10, 3)),
            **{"by": 1.0, "every": 4, "axis": 0} | wrong,
            rng=np.random.default_rng(0),
        )


def test_masks_never_exceed_their_width_and_leave_the_input_alone():
    ones = np.ones((60, 40), np.float32)
    for seed in range(50):
        hidden = mask_features(ones, n_time=7, n_frequency=5, rng=np.random.default_rng(seed)) == 0
        assert hidden.all(axis=1).sum() <= 7
        assert hidden.all(axis=0).sum() <= 5
    assert ones.min() == 1


@pytest.mark.parametrize("evenness", [0.3, 1.0])
def test_mixed_pictures_and_mixed_words_have_the_same_shares(evenness):
    rng = np.random.default_rng(0)
    clips, words = rng.normal(size=(200, 4, 3)).astype(np.float32), np.eye(200, dtype=np.float32)
    mixed, wanted = mix_up(clips, words, evenness=evenness, rng=np.random.default_rng(1))
    assert mixed.dtype == clips.dtype and wanted.dtype == words.dtype
    # Each word is its clip's own, so the wanted shares say what every picture must be made of.
    np.testing.assert_allclose(mixed, np.einsum("ij,jtf->itf", wanted, clips), atol=1e-5)
    np.testing.assert_allclose(wanted.sum(axis=1), 1, atol=1e-6)
    own = np.diag(wanted)
    assert own.min() >= 0.5
    smaller = np.where(own > 0.999, 0, 1 - own)
    # The smaller of two Beta shares, from SciPy's quantiles.
    expected = stats.beta(evenness, evenness).ppf(np.linspace(0.001, 0.999, 999) / 2).mean()
    assert smaller.mean() == pytest.approx(expected, abs=0.04)


def test_mixing_repeats_itself_and_refuses_the_impossible():
    clips, words = np.ones((3, 2, 2), np.float32), np.eye(3, dtype=np.float32)
    first, again = (mix_up(clips, words, evenness=0.4, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first[1], again[1])
    with pytest.raises(ValueError, match="evenness"):
        mix_up(clips, words, evenness=0.0, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="3 clips and 2 targets"):
        mix_up(clips, words[:2], evenness=0.4, rng=np.random.default_rng(0))


def test_augment_is_reproducible_bounded_and_varied():
    speech = tone(200, 0.5) * np.hanning(8000).astype(np.float32)
    first = augment(speech, Augmentation(), rng=np.random.default_rng(3), others=[speech] * 8)
    again = augment(speech, Augmentation(), rng=np.random.default_rng(3), others=[speech] * 8)
    other = augment(speech, Augmentation(), rng=np.random.default_rng(4), others=[speech] * 8)
    np.testing.assert_array_equal(first, again)
    assert first.dtype == np.float32 and np.abs(first).max() <= 1 and np.isfinite(first).all()
    assert len(first) != len(other) or not np.array_equal(first, other)


def test_noise_share_one_brings_the_signal_to_noise_ratio_asked_for():
    quiet = Augmentation.none()
    noisy = Augmentation(**{**{f: getattr(quiet, f) for f in quiet.__dataclass_fields__}, "noise_share": 1.0,
                            "snr_db": (10.0, 10.0)})  # fmt: skip
    speech = tone(500)
    heard = augment(speech, noisy, rng=np.random.default_rng(0))
    assert signals.speech_level_db(speech) - audio.level_db(heard - speech) == pytest.approx(10, abs=0.5)


@pytest.mark.parametrize(
    "setting", [{"noise_share": 1.5}, {"speed": (1.2, 0.8)}, {"snr_db": (1.0, 2.0, 3.0)}]
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        Augmentation(**setting)


def test_features_of_an_augmented_word_are_finite():
    heard = augment(tone(300, 0.4), Augmentation(), rng=np.random.default_rng(1))
    assert np.isfinite(features.log_mel(heard)).all()
