"""Teaching a network to read strings: the same twice, watched, stopped, refused."""

import itertools
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from asrlib import datasets, decoding, training
from asrlib.__main__ import main
from asrlib.models import CtcConfig
from asrlib.passages import TimedWord
from asrlib.string_recognizer import StringRecognizer
from asrlib.strings import ComposeConfig
from asrlib.training import STRING_RECIPES, StringTrainingConfig, train_strings
from asrlib.training import string_batches as inside

TINY = StringTrainingConfig(
    steps=4,
    batch_size=8,
    epochs=2,
    strings=48,
    first_strings=32,
    warmup_steps=1,
    compose=ComposeConfig(n_digits=(1, 3)).clean(),
    model=CtcConfig(conv_channels=(4, 8), gru_units=12, projection=12),
)


@pytest.fixture(scope="module")
def digits():
    everybody = datasets.digits("train")
    return everybody.where(speaker=sorted(set(everybody.speakers.tolist()))[:3])


@pytest.fixture(scope="module")
def validation():
    return datasets.strings("validation")[:6]


@pytest.fixture(scope="module")
def watched(digits, validation):
    seen = []
    result = train_strings(digits, validation=validation, config=TINY, progress=False, watch=seen.append)
    return result, seen


# -- what the network is fed -------------------------------------------------------------------------------


def test_strings_depend_on_their_number_alone(digits):
    with inside.Pool(digits, None, TINY) as one, inside.Pool(digits, None, TINY) as other:
        one.wait_for(5)
        one.wait_for(48)
        other.wait_for(48)
    assert one.targets == other.targets and len(one.targets) == 48
    assert all(map(np.array_equal, one.features, other.features))


def test_every_string_leaves_ctc_enough_steps(digits):
    hasty = replace(TINY, compose=ComposeConfig(n_digits=(6, 7), breath_share=1, pace=(0.1, 0.16)).clean())
    with inside.Pool(digits, None, hasty) as pool:
        pool.wait_for(32)
    for picture, target in zip(pool.features, pool.targets, strict=True):
        repeats = sum(a == b for a, b in itertools.pairwise(target))
        assert len(picture) // 4 > len(target) + repeats


def test_what_is_too_short_for_one_answer_is_drawn_again(digits):
    tight = ComposeConfig(n_digits=(1, 2), breath_share=1, pace=(0.01, 0.1), tight_share=1).clean()
    with inside.Pool(digits, None, replace(TINY, compose=tight)) as pool:
        pool.wait_for(48)
    assert min(map(len, pool.features)) >= 8


def test_natural_strings_come_in_their_share(digits):
    natural = datasets.strings("train")[:4]
    with inside.Pool(digits, natural, replace(TINY, natural_share=1.0)) as pool:
        pool.wait_for(16)
    spoken = {" ".join(str(label - 1) for label in target) for target in pool.targets[:16]}
    assert spoken <= set(natural.labels.tolist()) and len(spoken) > 1


class Oracle:
    """Reads a few strings, and knows their words to be equally long, or the last one to take no time."""

    def __init__(self, known, *, last=True):
        self.known = {samples.tobytes(): label for samples, label in known}
        self.last = last

    def transcribe(self, samples):
        text = self.known.get(samples.tobytes(), "nothing")
        words, whole = text.split(), len(samples) / 16_000
        limits = np.linspace(0, whole, len(words) + (1 if self.last else 0))
        limits = limits if self.last else np.append(limits, whole)
        timed = [TimedWord(w, a, b, 1.0) for w, a, b in zip(words, limits, limits[1:], strict=False)]
        return SimpleNamespace(text=text, words=tuple(timed))


def test_a_natural_string_is_not_cut_where_a_word_takes_no_time(digits):
    natural = datasets.strings("train")[:1]
    known = [(natural.audio(0), natural.labels[0])]
    with inside.Pool(digits, natural, replace(TINY, natural_share=1.0)) as pool:
        pool.splice(Oracle(known))
        assert list(pool.cuts) == [0]
        pool.splice(Oracle(known, last=False))
        assert not pool.cuts


def test_natural_strings_are_put_together_anew_from_those_that_are_read(digits):
    natural = datasets.strings("train")[:3]
    config = replace(TINY, natural_share=1.0, splice_after=0.0)
    with inside.Pool(digits, natural, config) as pool:
        pool.splice(Oracle([(natural.audio(i), natural.labels[i]) for i in (0, 2)]))
        assert sorted(pool.cuts) == [0, 2]  # the second was misread, so nobody knows where its words part
        assert [len(cuts) for cuts in pool.cuts.values()] == [
            len(natural.labels[i].split()) + 1 for i in (0, 2)
        ]
        pool.wait_for(48)
        rng = np.random.default_rng(0)
        made = [pool._spliced(rng) for _ in range(60)]
    assert any(text not in natural.labels for _, text in made)
    stretches = {
        " ".join(words[a:b])
        for words in (natural.labels[i].split() for i in (0, 2))
        for a in range(len(words))
        for b in range(a + 1, len(words) + 1)
    }
    unknown = [text for _, text in made if not any(text.startswith(stretch) for stretch in stretches)]
    spoken_by = {natural.speakers[i] for i in (0, 2)}
    assert not unknown or spoken_by & set(digits.speakers.tolist())  # else there are no digits to mix in
    for samples, text in made:
        assert 0.05 < len(samples) / 16_000 / len(text.split()) < 1


def test_strings_after_the_cut_wait_for_it(digits):
    config = replace(TINY, steps=16, strings=48, natural_share=1.0, splice_after=0.5)
    with inside.Pool(digits, datasets.strings("train")[:3], config) as pool:
        assert inside.splice_step(config) == 8
        assert 32 < pool.whole == inside.strings_seen(8, config) < 48
        pool.wait_for(pool.whole)
        assert pool._next == pool.whole
        pool.splice(Oracle([]))
        pool.wait_for(48)


def test_strings_do_not_depend_on_when_the_cuts_are_known(digits):
    natural = datasets.strings("train")[:3]
    config = replace(TINY, steps=16, strings=64, natural_share=1.0, splice_after=0.5)
    oracle = Oracle([(natural.audio(i), natural.labels[i]) for i in range(3)])
    pools = [inside.Pool(digits, natural, config) for _ in range(2)]
    with pools[0] as early, pools[1] as late:
        early.splice(oracle)  # as if its threads had not begun yet
        assert 0 < late.whole < 64
        late.wait_for(late.whole)
        late.splice(oracle)
        for pool in pools:
            pool.wait_for(64)
        assert early.targets == late.targets
        for one, other in zip(early.features, late.features, strict=True):
            np.testing.assert_array_equal(one, other)
        whole = {tuple(decoding.to_labels(text.split(), early.labels)) for text in natural.labels}
        assert {tuple(target) for target in early.targets[: early.whole]} <= whole
        assert not {tuple(target) for target in early.targets[early.whole :]} <= whole


def test_noise_has_an_empty_text(digits):
    with inside.Pool(digits, None, replace(TINY, empty_share=1.0)) as pool:
        pool.wait_for(16)
        batch = inside.StringBatches(pool, TINY, average=np.zeros(20, np.float32))[0]
    assert all(target == [] for target in pool.targets)
    assert batch[2].shape == (8, 1) and not batch[3].any()


def test_batches_grow_with_the_pool_and_are_padded_with_zeros(digits):
    with inside.Pool(digits, None, TINY) as pool:
        batches = inside.StringBatches(pool, TINY, average=np.full(20, -9, np.float32))
        seen = [inside.strings_seen(step, TINY) for step in range(TINY.steps)]
        batch, steps, targets, lengths = batches[2]
    assert seen[0] == 32 and seen == sorted(seen) and max(seen) <= 48
    assert batch.shape == (8, 4 * steps.max(), 20) and targets.shape == (8, lengths.max())
    for row, own, target, length in zip(batch, steps, targets, lengths, strict=True):
        assert row[: 4 * own].any(axis=1).all() and not row[4 * own + 3 :].any()
        assert (target[:length] > 0).all() and not target[length:].any()


# -- training ----------------------------------------------------------------------------------------------


def test_training_gives_a_recogniser_of_strings_and_a_history(watched, validation):
    result, _ = watched
    assert isinstance(result.recognizer, StringRecognizer)
    assert result.recognizer.labels == tuple("0123456789")
    assert result.recognizer.scores(validation.audio(0)).shape[1] == 11
    assert len(result.history["loss"]) == len(result.history["val_wer"]) == 2
    assert result.history["loss"][1] < result.history["loss"][0]
    assert not result.stopped and "2 epochs" in str(result)


def test_watching_tells_every_step_and_every_epoch(watched):
    result, seen = watched
    assert [p.step for p in seen] == [1, 2, 2, 3, 4, 4]
    assert [len(p.history["loss"]) for p in seen] == [0, 0, 1, 1, 1, 2]
    assert seen[-1].history == result.history
    assert isinstance(seen[-1].recognizer(), StringRecognizer)


def test_same_seed_same_weights_but_for_the_penalty_on_the_blank(watched, digits, validation):
    result, _ = watched
    again = train_strings(
        digits, validation=validation, config=replace(TINY, blank_penalty=0.5), progress=False
    )
    for name, array in result.recognizer.weights.items():
        array = array - 0.5 * (np.arange(11) == 0) if name == "logits/bias" else array
        assert np.allclose(array, again.recognizer.weights[name], atol=1e-5), name


def test_the_features_statistics_are_those_of_the_strings(watched, digits):
    result, _ = watched
    with inside.Pool(digits, None, TINY) as pool:
        pool.wait_for(32)
    frames = np.concatenate(pool.features[:32])
    assert np.allclose(result.recognizer.weights["input_norm/moving_mean"], frames.mean(axis=0), atol=1e-4)


def test_a_causal_network_stopped_at_the_cut_of_natural_strings_keeps_what_it_has(digits):
    config = replace(
        TINY,
        natural_share=0.5,
        splice_after=0.0,
        model=replace(TINY.model, causal=True, bidirectional=False),
    )
    asked = threading.Event()
    result = train_strings(
        digits,
        natural=datasets.strings("train")[:3],
        config=config,
        progress=False,
        stop=asked,
        watch=lambda p: p.step == 1 and asked.set(),
    )
    assert result.stopped and len(result.history["loss"]) == 1
    assert result.recognizer.network.stream() is not None


# -- what is refused ---------------------------------------------------------------------------------------


def test_shared_speakers_are_refused(digits):
    strings = datasets.strings("train")
    speakers = np.intersect1d(strings.speakers, datasets.digits("train").speakers)[:1]
    with pytest.raises(ValueError, match="share"):
        train_strings(
            datasets.digits("train").where(speaker=speakers.tolist()),
            validation=strings.where(speaker=speakers.tolist()),
            config=TINY,
            progress=False,
        )


def test_a_loss_that_is_no_number_is_told(digits, monkeypatch):
    class Diverging:
        def __init__(self, config, pool):
            self.config, self.average = config, np.zeros(20, np.float32)
            self.step = lambda *arrays: np.float32("nan")

    monkeypatch.setattr("asrlib.training.strings._Learner", Diverging)
    with pytest.raises(ValueError, match=r"step 1 is nan: .* learning_rate below 0\.003"):
        train_strings(digits, config=TINY, progress=False)


@pytest.mark.parametrize(
    "settings",
    [{"steps": 0}, {"epochs": 5, "steps": 4}, {"first_strings": 99}, {"natural_share": 2}, {"model": None}],
)
def test_config_refuses_what_makes_no_sense(settings):
    with pytest.raises(ValueError):
        replace(TINY, **settings)


# -- recipes -----------------------------------------------------------------------------------------------


def test_recipes_stay_small_and_the_streaming_one_causal():
    assert set(STRING_RECIPES) == {"lesson", "strings", "streaming"}
    assert all(config.n_parameters < 200_000 for config in STRING_RECIPES.values())
    assert STRING_RECIPES["streaming"].model.causal and not STRING_RECIPES["strings"].model.causal
    assert all(config.features.normalization == "none" for config in STRING_RECIPES.values())
    assert STRING_RECIPES["lesson"].natural_share == 0


def test_shell_trains_strings(watched, tmp_path, monkeypatch, capsys):
    calls = []
    recognizer = watched[0].recognizer

    def pretend(train_digits, **how):
        calls.append((train_digits, how))
        return training.StringTrainingResult(recognizer, {"loss": [1.0], "val_wer": [0.02]}, 1.0)

    monkeypatch.setattr(training, "train_strings", pretend)
    out = tmp_path / "mine.asr"
    assert main(["train", "--recipe", "strings", "--steps", "5", "--seed", "3", "--out", str(out)]) == 0
    [(train_digits, how)] = calls
    assert set(train_digits.splits.tolist()) == {"train"} and set(how["validation"].splits) == {"validation"}
    assert (how["config"].steps, how["config"].seed) == (5, 3)
    assert how["config"].model == STRING_RECIPES["strings"].model
    assert (how["natural"] is not None) == (STRING_RECIPES["strings"].natural_share > 0)
    assert "2.0 %" in capsys.readouterr().out
    assert StringRecognizer.load(out).labels == recognizer.labels


@pytest.mark.parametrize(
    "option", [["--epochs", "3"], ["--family", "cnn"], ["--data", "words"], ["--resume"]]
)
def test_shell_refuses_options_of_other_recipes(tmp_path, capsys, option):
    assert main(["train", "--recipe", "lesson", "--out", str(tmp_path / "a.asr"), *option]) == 1
    assert "single words" in capsys.readouterr().err
