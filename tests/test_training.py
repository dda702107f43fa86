"""Training learns, repeats itself exactly, and refuses what would fool its user."""

from dataclasses import replace

import numpy as np
import pytest
from beeps import beeps

from asrlib.augment import Augmentation
from asrlib.errors import AudioError
from asrlib.features import FeatureConfig
from asrlib.models import CrnnConfig, crnn, get_weights
from asrlib.recognizer import Recognizer
from asrlib.training import TrainingConfig, train
from asrlib.training.batches import Batches, checked_sets

# One direction and no attention: TensorFlow takes most of these tests' time to trace the network.
TINY = CrnnConfig(
    conv_channels=(4,),
    pools=((4, 4),),
    projection=8,
    gru_units=6,
    bidirectional=False,
    head="last",
    dropout=0.1,
)
QUICK = TrainingConfig(epochs=8, batch_size=8, learning_rate=0.02, n_frames=50, model=TINY, augmentation=None)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    return (
        beeps(folder / "a", speakers=["ann", "bob", "cem"], name="training beeps"),
        beeps(folder / "b", speakers=["dee"], seed=1, name="other beeps"),
    )


@pytest.fixture(scope="module")
def result(sets):
    return train(sets[0], validation=sets[1], config=QUICK, progress=False)


def test_training_learns_to_tell_rising_from_falling(sets, result):
    assert result.history["loss"][-1] < result.history["loss"][0]
    probabilities = result.recognizer.predict(sets[1].arrays())
    answers = np.array(result.recognizer.labels)[probabilities.argmax(axis=1)]
    assert (answers == sets[1].labels).mean() >= 0.9
    assert {len(values) for values in result.history.values()} == {QUICK.epochs}
    assert set(result.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert result.seconds > 0
    assert "8 epochs" in str(result)


def test_recogniser_keeps_the_configuration_and_survives_a_file(result, sets, tmp_path):
    machine = result.recognizer
    assert (machine.features, machine.model, machine.n_frames) == (QUICK.features, TINY, 50)
    assert machine.labels == ("fall", "rise")
    again = Recognizer.load(machine.save(tmp_path / "beeps.asr"))
    np.testing.assert_array_equal(machine.predict(sets[1].arrays()), again.predict(sets[1].arrays()))


def test_to_keras_and_back(result, sets):
    machine = result.recognizer
    model = machine.to_keras()
    again = Recognizer.from_keras(
        model, config=machine.model, features=machine.features, labels=machine.labels
    )
    windows = np.stack([machine._window(i, clip) for i, clip in enumerate(sets[1].arrays())])
    np.testing.assert_allclose(model.predict_on_batch(windows), again.predict(sets[1].arrays()), atol=1e-4)
    with pytest.raises(ValueError, match="labels"):
        Recognizer.from_keras(model, config=machine.model, features=machine.features, labels=("a", "b", "c"))


def test_validation_accuracy_is_the_recognisers(result, sets):
    """What chose the epoch is what a user will measure: same windows, same network."""
    machine = result.recognizer
    answers = np.array(machine.labels)[machine.predict(sets[1].arrays()).argmax(axis=1)]
    assert (answers == sets[1].labels).mean() == pytest.approx(
        result.history["val_accuracy"][result.epoch - 1]
    )


def test_same_seed_gives_the_same_weights_and_one_bar_counts_every_batch(sets, result, capsys):
    again = train(sets[0], validation=sets[1], config=QUICK)  # the bar changes nothing
    for name, array in result.recognizer.weights.items():
        np.testing.assert_array_equal(array, again.recognizer.weights[name])
    assert result.history == again.history
    shown = capsys.readouterr().err
    assert "24/24" in shown  # 24 clips in batches of 8, eight times
    assert "loss" in shown
    assert "accuracy" in shown
    assert "validation" in shown


def test_training_can_end_with_the_mean_of_many_weights(sets):
    last = replace(QUICK, epochs=2, keep_best=False)

    def trained(share):
        config = replace(last, weight_average=share)
        return train(sets[0], validation=sets[1], config=config, progress=False)

    plain, nearly_plain, averaged = trained(0.0), trained(1e-6), trained(0.9)
    for name, weights in plain.recognizer.weights.items():
        np.testing.assert_allclose(nearly_plain.recognizer.weights[name], weights, rtol=1e-4, atol=1e-5)
    # The mean lags behind the last weights, on the way from the first ones.
    kernels = [name for name in plain.recognizer.weights if "kernel" in name]
    start = crnn(TINY, input_shape=(50, QUICK.features.n_coefficients), n_classes=2, seed=QUICK.seed)
    first = get_weights(start, config=TINY)
    way = sum(np.square(plain.recognizer.weights[name] - first[name]).sum() for name in kernels)
    short = sum(np.square(averaged.recognizer.weights[name] - first[name]).sum() for name in kernels)
    assert 0 < short < way
    test_validation_accuracy_is_the_recognisers(averaged, sets)


def test_members_are_trained_alone_and_answer_together(sets, capsys):
    config = replace(QUICK, epochs=2, model=replace(TINY, members=2), seed=4)
    together = train(sets[0], validation=sets[1], config=config)
    assert "12/12" in capsys.readouterr().err  # 2 members, 2 epochs, 3 batches
    alone = [
        train(sets[0], validation=sets[1], config=replace(config, model=TINY, seed=seed), progress=False)
        for seed in (4, 5)
    ]
    for name, array in together.recognizer.weights.items():
        member, name = name.split("/", 1)
        np.testing.assert_array_equal(array, alone[int(member[-1]) - 1].recognizer.weights[name])
    clips = sets[1].arrays()
    scores = np.mean([np.log(result.recognizer.predict(clips)) for result in alone], axis=0)
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(together.recognizer.predict(clips), expected, atol=1e-5)
    test_validation_accuracy_is_the_recognisers(together, sets)
    targets = np.where((sets[1].labels == "rise")[:, None], [0.05, 0.95], [0.95, 0.05])  # smoothed by a tenth
    loss = -(targets * np.log(expected)).sum(axis=1).mean()
    assert together.history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)


def test_hooks_are_used_and_repeat_themselves(sets):
    def scale(features, rng):
        assert features.shape[1:] == (50, QUICK.features.n_coefficients)
        return features * rng.uniform(0.9, 1.1)

    def fade(samples, rng):
        return (samples + 0.01 * rng.normal(size=len(samples))).astype(np.float32)

    plain, scaled, faded, again = (
        np.concatenate([features for features, _ in stream(sets[0], QUICK, **hooks)])
        for hooks in ({}, {"augment": scale}, {"augment_samples": fade}, {"augment_samples": fade})
    )
    np.testing.assert_array_equal(faded, again)
    assert not np.array_equal(plain, faded)
    assert not np.array_equal(plain, scaled)


def test_an_error_in_a_hook_reaches_the_caller_as_it_was(sets):
    calls = []

    def broken(features, rng):
        calls.append(1)
        if (
            len(calls) == 4
        ):  # Keras looks at the first batches itself; later ones are made in TensorFlow's thread
            raise ZeroDivisionError("in the hook")
        return features

    with pytest.raises(ZeroDivisionError, match="in the hook"):
        train(sets[0], config=QUICK, augment=broken, progress=False)
    with pytest.raises(ValueError, match="keep the shape"):
        stream(sets[0], QUICK, augment=lambda features, rng: features[:, 1:])
    with pytest.raises(AudioError, match=r"Clip .* outside"):
        stream(sets[0], QUICK, augment_samples=lambda samples, rng: samples * 100)


# -- the batches, without a network --------------------------------------------------------------------


def stream(dataset, config, **hooks):
    batches = Batches(dataset, ("fall", "rise"), config=config, **hooks)
    return [batches[number] for number in range(len(batches))]


def test_every_epoch_sees_each_clip_once_in_another_order(sets):
    config = TrainingConfig(epochs=2, batch_size=7, augmentation=None, random_place=False)
    parts = stream(sets[0], config)
    sizes = [len(targets) for _, targets in parts]
    assert sizes == [6, 6, 6, 6] * 2  # 24 clips in even parts of at most 7
    first, second = (np.concatenate([x for x, _ in parts[at : at + 4]]) for at in (0, 4))
    assert not np.array_equal(first, second)

    def key(windows):
        return sorted(window.tobytes() for window in windows)

    assert key(first) == key(second)
    np.testing.assert_array_equal(sum(targets.sum(axis=0) for _, targets in parts), [24, 24])


def test_targets_belong_to_their_features(sets):
    features = FeatureConfig(normalization="none")
    config = TrainingConfig(epochs=1, augmentation=None, features=features)
    for batch, targets in stream(sets[0], config):
        for window, (fall, rise) in zip(batch, targets, strict=True):
            sound = window[window.any(axis=1)]
            assert (sound[3].argmax() < sound[-3].argmax()) == bool(rise)
            assert fall + rise == 1


def test_another_seed_gives_other_batches(sets):
    first, again, other = (stream(sets[0], TrainingConfig(epochs=1, seed=seed))[0][0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_random_place_moves_clips_within_the_window(sets):
    def begins(random_place):
        config = TrainingConfig(epochs=3, augmentation=None, random_place=random_place)
        return {
            int(np.argmax(window.any(axis=1))) for batch, _ in stream(sets[0], config) for window in batch
        }

    centred, anywhere = begins(False), begins(True)
    assert max(anywhere) > max(centred) + 5
    assert min(anywhere) < min(centred) - 5


@pytest.mark.parametrize(("variants", "made"), [(1, 24), (2, 48), (3, 72), (None, 72)])
def test_variants_are_made_as_often_as_asked(sets, variants, made):
    calls = []

    def count(samples, rng):
        calls.append(rng.random())
        return samples

    stream(sets[0], TrainingConfig(epochs=3, augmentation=None, variants=variants), augment_samples=count)
    assert len(calls) == made
    assert len(set(calls)) == made  # no two variants share their randomness


def test_configured_augmentation_disturbs_recordings_and_features(sets):
    # In the middle, since with augmentation the random places are other draws of the same generator.
    centred = TrainingConfig(epochs=1, random_place=False)
    plain = stream(sets[0], replace(centred, augmentation=None))
    nothing = stream(sets[0], replace(centred, augmentation=Augmentation.none()))
    disturbed = stream(sets[0], centred)
    np.testing.assert_allclose(plain[0][0], nothing[0][0], atol=1e-5)
    assert np.abs(plain[0][0] - disturbed[0][0]).max() > 0.5
    np.testing.assert_array_equal(disturbed[0][0], stream(sets[0], centred)[0][0])


def test_hidden_frames_are_speech_and_not_the_padding_around_it(sets):
    only_time = replace(Augmentation.none(), mask_frames=12)
    plain = stream(sets[0], TrainingConfig(epochs=1, random_place=False, augmentation=None))
    masked = stream(sets[0], TrainingConfig(epochs=1, random_place=False, augmentation=only_time))
    speech = np.abs(plain[0][0]).max(axis=2) > 0
    hidden = speech & (np.abs(masked[0][0]).max(axis=2) == 0)
    assert 3 < hidden.sum(axis=1).mean() < 9  # from 0 to 12 of every clip's frames, all of them speech
    assert (hidden.sum(axis=1) <= 12).all()


# -- what is refused -----------------------------------------------------------------------------------


def test_shared_speakers_are_refused_unless_allowed(sets):
    with pytest.raises(
        ValueError, match=r"3 speakers are in both .*ann, bob, cem.*allow_shared_speakers=True"
    ):
        train(sets[0], validation=sets[0], progress=False)
    assert checked_sets(sets[0], sets[0], config=QUICK, allow_shared_speakers=True) == ("fall", "rise")


def test_unusable_sets_are_refused(sets, tmp_path):
    train_set, other = sets
    with pytest.raises(ValueError, match="training set 'training beeps' is empty"):
        train(train_set[:0])
    with pytest.raises(ValueError, match="validation set 'other beeps' is empty"):
        train(train_set, validation=other[:0])
    with pytest.raises(ValueError, match="says 'rise'"):
        train(train_set.where(label="rise"))
    strange = beeps(tmp_path / "c", speakers=["eve"], labels=("rise",), name="c")
    object.__setattr__(strange, "labels", np.array(["middle"] * len(strange)))
    with pytest.raises(ValueError, match="lacks: 'middle'"):
        train(train_set, validation=strange)
    with pytest.raises(ValueError, match=r"16000 Hz, but config.features expects 8000 Hz"):
        train(train_set, config=TrainingConfig(features=FeatureConfig(sample_rate=8_000)))


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 0.0},
        {"learning_rate": -1},
        {"learning_rate": float("nan")},
        {"epochs": 0},
        {"epochs": 1.5},
        {"batch_size": 0},
        {"seed": -1},
        {"variants": 0},
        {"n_frames": True},
        {"label_smoothing": 1.0},
        {"weight_decay": -0.1},
        {"warmup_epochs": -1},
        {"features": {}},
        {"model": None},
        {"final_learning_rate": 1.5},
        {"final_learning_rate": -0.1},
        {"weight_average": 1.0, "keep_best": False},
        {"weight_average": -0.1, "keep_best": False},
        {"weight_average": 0.9, "keep_best": True},
        {"augmentation": {}},
    ],
    ids=str,
)
def test_configuration_names_what_it_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        TrainingConfig(**options)


def test_configuration_survives_a_dictionary():
    config = TrainingConfig(epochs=3, model=TINY, augmentation=Augmentation(mask_bands=2), variants=None)
    assert TrainingConfig.from_dict(config.to_dict()) == config
    assert TrainingConfig.from_dict(QUICK.to_dict()) == QUICK
    with pytest.raises(ValueError, match="'speed'"):
        TrainingConfig.from_dict({"speed": 3})
