"""Strings put together from single digits: what is said, when, how fast and how loud."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrlib import audio, datasets, strings
from asrlib.augment import Augmentation
from asrlib.strings import ComposeConfig, Composer, compose, join, time_scale

RATE = audio.SAMPLE_RATE


def rng(seed=0):
    return np.random.default_rng(seed)


def tone(hertz, *, seconds=1.0, amplitude=0.3):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(
        np.float32
    )


def pitch(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 18))
    return spectrum.argmax() * RATE / (1 << 18)


@pytest.fixture(scope="module")
def digits():
    return datasets.digits("test")


@pytest.fixture(scope="module")
def beeps():
    """Ten 'words' of two speakers, each a tone of its own: no recordings needed to find them again."""
    names = [(speaker, label) for speaker in "ab" for label in range(10)]
    cache = {
        Path(f"{speaker}{label}"): tone(400 + 250 * label + 60 * (speaker == "b"), seconds=0.4)
        for speaker, label in names
    }
    n = len(names)
    return datasets.SpeechDataset(
        name="beeps",
        files=tuple(cache),
        labels=np.array([str(label) for _, label in names]),
        speakers=np.array([speaker for speaker, _ in names]),
        groups=np.full(n, "tone"),
        takes=np.zeros(n, int),
        splits=np.full(n, "train"),
        seconds=np.full(n, 0.4),
        _cache=cache,
    )


# -- faster at the same pitch ------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.3, 2.0, 2.7])
@pytest.mark.parametrize("hertz", [110, 250, 1000])
def test_time_scale_keeps_the_pitch_and_the_level(factor, hertz):
    samples = tone(hertz)
    changed = time_scale(samples, factor)
    assert changed.dtype == np.float32
    assert len(changed) == round(len(samples) / factor)
    middle = changed[800:-800]
    assert abs(pitch(middle) - hertz) < 0.01 * hertz + 2
    assert abs(np.std(middle) / np.std(samples) - 1) < 0.08


def test_time_scale_of_one_changes_nothing_and_nearly_one_nearly_nothing():
    samples = rng().normal(0, 0.1, 8000).astype(np.float32)
    assert time_scale(samples, 1) is samples
    nearly = time_scale(samples, 1.0001)
    assert np.allclose(nearly[400:7000], samples[400:7000], atol=1e-5)


def test_time_scale_keeps_the_order_of_what_is_said():
    both = np.concatenate([tone(300, seconds=0.5), tone(900, seconds=0.5)])
    fast = time_scale(both, 2.0)
    assert abs(pitch(fast[500:3500]) - 300) < 10
    assert abs(pitch(fast[4500:7500]) - 900) < 10


@pytest.mark.parametrize("factor", [0, 0.1, 5, -1])
def test_time_scale_refuses_what_is_no_speed(factor):
    with pytest.raises(ValueError, match="factor"):
        time_scale(tone(100), factor)


# -- joining -----------------------------------------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(10, 400), min_size=1, max_size=6),
    gaps=st.lists(st.floats(-0.02, 0.02), min_size=5, max_size=5),
    before=st.floats(0, 0.01),
)
@settings(max_examples=60, deadline=None)
def test_join_of_ones_is_one_wherever_somebody_speaks(lengths, gaps, before):
    pieces = [np.ones(length, np.float32) for length in lengths]
    gaps = gaps[: len(pieces) - 1]
    samples, starts = join(pieces, gaps=gaps, before_seconds=before, after_seconds=0.01)
    spoken = np.zeros(len(samples), bool)
    for start, piece in zip(np.round(starts * RATE).astype(int), pieces, strict=True):
        spoken[start : start + len(piece)] = True
    assert np.all(np.diff(starts) > 0)
    # Where two fade into each other they sum to one; three never meet.
    assert np.allclose(samples[spoken], 1, atol=1e-6)
    assert not samples[~spoken].any()
    assert len(samples) == round(starts[-1] * RATE) + lengths[-1] + round(0.01 * RATE)


def test_join_changes_none_of_its_pieces():
    pieces = [np.ones(100, np.float32), np.ones(100, np.float32)]
    join(pieces, gaps=[-0.001])
    assert all(np.array_equal(piece, np.ones(100)) for piece in pieces)


def test_join_refuses_gaps_that_do_not_fit():
    with pytest.raises(ValueError, match="2 pieces have 1 places"):
        join([tone(100), tone(100)], gaps=[])


# -- composing ---------------------------------------------------------------------------------------------

CLEAN = ComposeConfig(breath_share=1.0, pause_share=0.0).clean()


def test_compose_says_the_text_in_its_order_at_its_times(beeps):
    exact = replace(CLEAN, speed=(1, 1), overlap_seconds=(-0.02, 0.02))
    for seed in range(5):
        string = compose(beeps, text="5 0 3 3 9", speaker="b", rng=rng(seed), config=exact)
        assert (string.label, string.speaker) == ("5 0 3 3 9", "b")
        for word, start, stop in zip(string.label.split(), string.starts, string.stops, strict=True):
            middle = (start + stop) / 2
            part = string.samples[round((middle - 0.04) * RATE) : round((middle + 0.04) * RATE)]
            assert abs(pitch(part) - (460 + 250 * int(word))) < 12


def test_compose_is_a_function_of_its_generator(beeps):
    one, same, other = (compose(beeps, rng=rng(seed)) for seed in (3, 3, 4))
    assert one.label == same.label and np.array_equal(one.samples, same.samples)
    assert not np.array_equal(one.samples, other.samples)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_composed_strings_are_sound_and_their_times_lie_inside(beeps, seed):
    string = compose(beeps, rng=rng(seed))
    assert string.samples.dtype == np.float32
    assert np.isfinite(string.samples).all() and np.abs(string.samples).max() <= 1
    n = len(string.label.split())
    assert 1 <= n <= 7 and string.starts.shape == string.stops.shape == (n,)
    assert np.all(string.starts >= 0) and np.all(string.stops <= string.seconds)
    assert np.all(string.stops > string.starts) and np.all(np.diff(string.starts) > 0)


def test_pace_is_what_was_asked_for(beeps):
    config = replace(CLEAN, pace=(0.25, 0.25), pace_spread=0.0)
    for n_digits in (4, 7):
        string = compose(beeps, n_digits=n_digits, rng=rng(1), config=config)
        took = (string.stops[-1] - string.starts[0]) / n_digits
        assert abs(took - 0.25) < 0.03


def test_level_is_what_was_asked_for(beeps):
    string = compose(beeps, rng=rng(0), config=replace(CLEAN, level_db=(-30, -30)))
    assert audio.level_db(string.samples) == pytest.approx(-30, abs=0.01)


def test_digits_one_by_one_keep_pauses(beeps):
    config = replace(CLEAN, breath_share=0.0, gap_seconds=(0.3, 0.3))
    string = compose(beeps, n_digits=3, rng=rng(0), config=config)
    assert np.allclose(string.starts[1:] - string.stops[:-1], 0.3, atol=2e-4)


def test_silence_around_is_none_usual_or_long(beeps):
    def around(**shares):
        config = replace(CLEAN, before_seconds=(0.1, 0.1), after_seconds=(0.1, 0.1), **shares)
        string = compose(beeps, n_digits=2, rng=rng(0), config=config)
        return string.starts[0], string.seconds - string.stops[-1]

    assert np.allclose(around(tight_share=1), 0, atol=0.006)
    assert np.allclose(around(tight_share=0, long_share=0), 0.1, atol=0.006)
    assert np.allclose(around(tight_share=0, long_share=1, long_seconds=(0.9, 0.9)), 0.9, atol=0.006)


def test_composer_draws_every_digit_and_speaker(beeps):
    composer, generator = Composer(beeps), rng(0)
    drawn = [composer(rng=generator, n_digits=7) for _ in range(40)]
    assert {word for string in drawn for word in string.label.split()} == set(composer.labels)
    assert {string.speaker for string in drawn} == set(composer.speakers) == {"a", "b"}


def test_compose_works_with_few_real_clips(digits):
    speaker = digits.speakers[0]
    few = digits.where(speaker=speaker)
    string = compose(few, text="1 2", rng=rng(0), config=ComposeConfig(augmentation=Augmentation()))
    assert string.label == "1 2" and string.speaker == speaker
    assert repr(string).startswith(f"Composed('1 2' by {speaker}")


def test_natural_tempo_of_the_bundle_lies_within_the_pace():
    """The default pace is measured, not guessed: nine in ten naturally spoken strings lie within it."""
    spoken = datasets.strings()
    n = np.array([len(label.split()) for label in spoken.labels])
    pace = (spoken.seconds - 0.1) / n  # clips have 50 ms around the speech
    low, high = ComposeConfig().pace
    assert np.mean((pace >= low) & (pace <= high)) > 0.9


@pytest.mark.parametrize(
    ("how", "match"),
    [
        ({"text": "1", "n_digits": 2}, "not both"),
        ({"text": "  "}, "empty"),
        ({"text": "1 eleven"}, "eleven"),
        ({"speaker": "nobody"}, "nobody"),
    ],
)
def test_compose_refuses_what_cannot_be_said(beeps, how, match):
    with pytest.raises(ValueError, match=match):
        compose(beeps, rng=rng(), **how)


@pytest.mark.parametrize(
    "settings",
    [
        {"pace": (0.4, 0.2)},
        {"pace": (0, 1)},
        {"breath_share": 2},
        {"n_digits": (0, 3)},
        {"alone_digits": (0, 1)},
        {"gap_seconds": (-1, 0)},
    ],
)
def test_config_refuses_what_makes_no_sense(settings):
    with pytest.raises(ValueError):
        ComposeConfig(**settings)


def test_empty_sets_are_refused(beeps):
    with pytest.raises(ValueError, match="nothing to compose"):
        strings.Composer(beeps[:0])
