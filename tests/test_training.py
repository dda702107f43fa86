"""Training learns, repeats itself exactly, and refuses what would fool its user."""

import gc
import itertools
import json
import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from beeps import beeps

from asrlib.augment import Augmentation
from asrlib.errors import AudioError
from asrlib.features import FeatureConfig
from asrlib.models import (
    ArticleCnnConfig,
    CnnConfig,
    CrnnConfig,
    RnnConfig,
    SoftmaxConfig,
    build,
    crnn,
    get_weights,
)
from asrlib.recognizer import Recognizer, prepare
from asrlib.training import (
    OPTIMIZERS,
    RECIPES,
    SCHEDULES,
    Runs,
    TrainingConfig,
    learning_rates,
    pipeline,
    problems,
    train,
)
from asrlib.training import batches as batches_module
from asrlib.training.batches import Batches, checked_sets, whole
from asrlib.training.steps import optimizer

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
FAST = replace(QUICK, epochs=2, model=ArticleCnnConfig(filters=4, units=4, dropout=0.0, conv_dropout=0.0))


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
    seen = []
    together = train(sets[0], validation=sets[1], config=config, watch=seen.append)
    assert "12/12" in capsys.readouterr().err  # 2 members, 2 epochs, 3 batches
    assert [(p.member, p.epoch) for p in seen[::4]] == [(1, 1), (1, 2), (2, 3), (2, 4)]  # 3 batches, 1 epoch
    assert {(p.members, p.epochs, p.batches) for p in seen} == {(2, 4, 3)}
    assert len(seen[-1].history["val_loss"]) == 4
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
        if len(calls) == 4:
            raise ZeroDivisionError("in the hook")
        return features

    with pytest.raises(ZeroDivisionError, match="in the hook"):
        train(sets[0], config=FAST, augment=broken, progress=False)
    with pytest.raises(ValueError, match="keep the shape"):
        stream(sets[0], QUICK, augment=lambda features, rng: features[:, 1:])
    with pytest.raises(AudioError, match=r"Clip .* outside"):
        stream(sets[0], QUICK, augment_samples=lambda samples, rng: samples * 100)


# -- watching and stopping ---------------------------------------------------------------------------------


def test_a_watcher_sees_every_batch_and_every_validation(sets, tmp_path):
    seen, runs = [], Runs(tmp_path)
    result = train(
        sets[0], validation=sets[1], config=FAST, progress=False, watch=seen.append, runs=runs, name="watched"
    )
    assert [(p.epoch, p.batch) for p in seen] == [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 3),
        (2, 1),
        (2, 2),
        (2, 3),
        (2, 3),
    ]
    assert [len(p.history["val_loss"]) for p in seen] == [0, 0, 0, 1, 1, 1, 1, 2]
    assert seen[-1].history == result.history
    assert seen[2].val_accuracy is None
    assert seen[4].val_accuracy == result.history["val_accuracy"][0]
    assert (seen[3].loss, seen[3].accuracy) == (result.history["loss"][0], result.history["accuracy"][0])
    assert all(before.seconds < after.seconds for before, after in itertools.pairwise(seen))
    assert seen[0].seconds_left is None
    assert seen[1].seconds_left > 0
    assert seen[-1].seconds_left == 0
    assert all(0 <= p.waiting <= 1 for p in seen)
    # The same is written down.
    assert result.run == runs[0]
    assert (result.run.name, result.run.status, result.run.history) == ("watched", "finished", result.history)
    assert result.run.train_config() == FAST
    assert (result.run.n_train, result.run.n_validation) == (24, 8)
    assert result.run.parameters == sum(array.size for array in result.recognizer.weights.values())
    np.testing.assert_array_equal(
        result.run.recognizer().predict(sets[1].arrays()), result.recognizer.predict(sets[1].arrays())
    )


@pytest.mark.parametrize("keep_best", [False, True])
def test_stopping_takes_effect_after_the_batch(sets, tmp_path, keep_best):
    config, stop, seen = replace(FAST, epochs=50, keep_best=keep_best), threading.Event(), []

    def watch(progress):
        seen.append(progress)
        if (progress.epoch, progress.batch) == (3, 1):
            stop.set()

    runs = Runs(tmp_path)
    result = train(
        sets[0], validation=sets[1], config=config, progress=False, watch=watch, stop=stop, runs=runs
    )
    assert result.stopped
    assert result.run.status == "stopped"
    assert str(result).endswith("; stopped")
    assert len(seen) == 3 * 4 - 2  # three batches and a validation an epoch, but one batch in the third
    assert len(result.history["loss"]) == 3
    best = int(np.argmax(result.history["val_accuracy"])) + 1
    assert result.epoch == (best if keep_best else 3)
    test_validation_accuracy_is_the_recognisers(result, sets)


def test_stopping_by_a_function_and_too_late(sets):
    calls = []

    def first_time():
        calls.append(1)
        return True

    result = train(sets[0], config=FAST, progress=False, stop=first_time)
    assert (len(calls), result.stopped, len(result.history["loss"]), result.epoch) == (1, True, 1, 1)
    calls.clear()

    def last_time():
        calls.append(1)
        return len(calls) == 6

    assert not train(sets[0], config=FAST, progress=False, stop=last_time).stopped


def test_stopped_members_answer_without_those_who_never_began(sets):
    config = replace(QUICK, epochs=1, model=replace(TINY, members=3))
    calls = []

    def stop():
        calls.append(1)
        return len(calls) == 4  # in the second member's first batch

    result = train(sets[0], validation=sets[1], config=config, progress=False, stop=stop)
    assert result.recognizer.model.members == 2
    test_validation_accuracy_is_the_recognisers(result, sets)


def test_early_stopping_ends_when_the_loss_no_longer_falls(sets):
    config = replace(FAST, epochs=40, early_stopping=2, learning_rate=0.2, keep_best=False)
    result = train(sets[0], validation=sets[1], config=config, progress=False)
    losses = result.history["val_loss"]
    assert len(losses) < 40
    assert int(np.argmin(losses)) == len(losses) - 3
    assert not result.stopped
    with pytest.raises(ValueError, match="early_stopping watches the loss on the validation set"):
        train(sets[0], config=config)


def test_steps_that_are_too_large_are_told_at_once(sets, tmp_path):
    config = replace(FAST, optimizer="sgd", learning_rate=1e20, clip_norm=None, warmup_epochs=0)
    with pytest.raises(ValueError, match=r"loss became (nan|inf) in batch . of epoch 1.*Lower learning_rate"):
        train(sets[0], config=config, progress=False, runs=Runs(tmp_path))
    assert [run.status for run in Runs(tmp_path)] == ["failed"]


def test_waiting_is_the_share_of_time_without_input(sets):
    def slow(samples, rng):
        time.sleep(0.02)
        return samples

    config = replace(FAST, variants=None)
    result = train(sets[0], config=config, progress=False, augment_samples=slow)
    assert result.waiting > 0.5


# -- what is chosen ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [SoftmaxConfig(), CnnConfig(channels=(4,), pools=((2, 2),)), RnnConfig(cell="simple", units=4)],
    ids=lambda model: model.family,
)
def test_every_family_is_trained(sets, model):
    config = replace(FAST, model=model)
    result = train(sets[0], validation=sets[1], config=config, progress=False)
    assert result.recognizer.model == model
    assert result.history["loss"][1] < result.history["loss"][0]
    test_validation_accuracy_is_the_recognisers(result, sets)


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("warmup_epochs", [0.0, 1.0])
def test_learning_rates_are_those_of_the_optimiser(schedule, warmup_epochs):
    config = TrainingConfig(
        epochs=4, schedule=schedule, warmup_epochs=warmup_epochs, learning_rate=0.5, final_learning_rate=0.25
    )
    rates = learning_rates(config, steps_per_epoch=3)
    built = optimizer(config, steps_per_epoch=3)
    for step, rate in enumerate(rates):
        built.iterations.assign(step)
        assert float(built.learning_rate) == pytest.approx(rate, rel=1e-6)
    built.iterations.assign(100)
    assert float(built.learning_rate) > 0
    assert rates.max() == 0.5
    assert rates[0] == (0.005 if warmup_epochs else 0.5)
    falling = rates[3 if warmup_epochs else 0 :]
    assert (np.diff(falling) <= 0).all()
    if schedule == "steps":
        np.testing.assert_allclose(np.unique(falling), [0.125, 0.25, 0.5])
    if schedule == "exponential":
        np.testing.assert_allclose(falling[1:] / falling[:-1], falling[1] / falling[0])


def test_every_optimiser_steps_as_keras_does():
    """The first step from known weights with a known gradient."""
    gradient, start = np.array([0.5, -2.0], np.float32), np.array([1.0, 1.0], np.float32)
    expected = {
        "adamw": start - 0.1 * np.sign(gradient) - 0.1 * 0.5 * start,
        "adam": start - 0.1 * np.sign(gradient),
        "sgd": start - 0.1 * gradient - 0.1 * 0.5 * start,
        "momentum": start - 0.1 * gradient - 0.1 * 0.5 * start,
        "nesterov": start - 0.1 * 1.9 * gradient - 0.1 * 0.5 * start,
        "rmsprop": start - 0.1 * np.sign(gradient) / np.sqrt(0.1) - 0.1 * 0.5 * start,
    }
    assert set(expected) == set(OPTIMIZERS)
    import keras

    for name, after in expected.items():
        config = TrainingConfig(
            optimizer=name,
            learning_rate=0.1,
            schedule="constant",
            warmup_epochs=0,
            weight_decay=0.5,
            clip_norm=None,
        )
        built = optimizer(config, steps_per_epoch=3)
        kernel, bias = (keras.Variable(start, name=each) for each in ("kernel", "bias"))
        built.build([kernel, bias])
        built.apply([keras.ops.convert_to_tensor(gradient)] * 2)
        np.testing.assert_allclose(kernel.numpy(), after, atol=2e-4, err_msg=name)
        decay = 0 if name == "adam" else 0.1 * 0.5 * start
        np.testing.assert_allclose(
            bias.numpy(), after + decay, atol=2e-4, err_msg=name
        )  # biases do not decay


def test_recipes_can_be_built():
    for config in RECIPES.values():
        assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
        assert problems(config.to_dict()) == {}
    article = RECIPES["article"]
    assert build(article.model, input_shape=article.input_shape).output_shape == (None, 10)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({}, []),
        ({"learning_rate": 0}, ["learning_rate"]),
        ({"learning_rate": "fast"}, ["learning_rate"]),
        ({"learning_rate": 3.0}, ["learning_rate"]),
        ({"learning_rate": 3.0, "optimizer": "sgd"}, []),
        ({"optimizer": "magic", "epochs": 0}, ["epochs", "optimizer"]),
        ({"weight_average": 0.9}, ["weight_average"]),
        ({"weight_average": 0.9, "keep_best": False}, []),
        ({"schedule": "exponential", "final_learning_rate": 0.0}, ["final_learning_rate"]),
        ({"features.f_max": 9_000.0}, ["features.f_max"]),
        ({"features": {"n_mels": 400}}, ["features.n_mels"]),
        ({"features.window_seconds": 0.05}, ["features.window_seconds"]),
        ({"features.window_seconds": 0.05, "features.n_fft": 1024}, []),
        ({"features.kind": "mfcc", "features.n_mfcc": 30}, ["features.n_mfcc"]),
        ({"model.family": "magic", "model.units": 3}, ["model.family"]),
        ({"model.family": "article_cnn", "model.kernel_size": 500}, ["model.kernel_size"]),
        ({"model.family": "article_cnn", "model.pool": 200}, ["model.pool"]),
        ({"model.family": "rnn", "model.units": 0}, ["model.units"]),
        ({"model": {"family": "crnn", "pools": [[9, 9], [3, 3]]}}, ["model.pools"]),
        ({"model.family": "crnn", "model.pools": ((2, 4), (2, 4)), "features.n_mels": 15}, ["model.pools"]),
        ({"model.dropout": 1.0, "learning_rate": -1, "features.hop_seconds": 0.0},
         ["features.hop_seconds", "learning_rate", "model.dropout"]),
        ({"augmentation": None}, []),
        ({"augmentation.noise_share": 2.0}, ["augmentation.noise_share"]),
        ({"nonsense": 1}, ["nonsense"]),
    ],
    ids=str,
)  # fmt: skip
def test_problems_are_told_beside_their_setting(values, names):
    found = problems(values)
    assert sorted(found) == names
    for message in found.values():
        assert message.endswith(".")


def test_frames_longer_than_a_recording_are_a_problem(sets):
    shortest = int(16_000 * sets[0].seconds.min())
    values = {"features.n_fft": 8_192}
    assert shortest < 8_192
    assert problems(values) == {}
    assert list(problems(values, train_set=sets[0])) == ["features.n_fft"]
    assert problems({}, train_set=sets[0]) == {}


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


def test_features_of_recordings_are_made_once_for_all_trainings(sets, monkeypatch):
    made = []
    memory = batches_module._Memory()
    monkeypatch.setattr(batches_module, "_memory", memory)
    monkeypatch.setattr(batches_module, "prepare", lambda *a, **k: made.append(1) or prepare(*a, **k))
    first, again = stream(sets[0], FAST), stream(sets[0], replace(FAST, seed=1))
    assert len(made) == len(memory) == len(sets[0])
    assert not np.array_equal(first[0][0], again[0][0])  # another order, other places
    for (windows, _), (same, _) in zip(first, stream(sets[0], FAST), strict=True):
        np.testing.assert_array_equal(windows, same)

    stream(sets[0], replace(FAST, features=replace(FAST.features, n_mels=24)))
    assert len(made) == 2 * len(sets[0])  # other features are made
    louder = [0.5 * samples for samples in sets[0].arrays()]
    for samples in louder * 2:
        memory.prepare(samples, FAST)
    assert len(made) == 4 * len(sets[0])  # what may still change is made each time, and not kept
    assert len(memory) == 2 * len(sets[0])

    samples = louder.pop()
    samples.flags.writeable = False
    memory.prepare(samples, FAST)
    assert len(memory) == 2 * len(sets[0]) + 1
    del samples
    gc.collect()
    assert len(memory) == 2 * len(sets[0])  # gone with its samples
    monkeypatch.setattr(memory, "most", 10)
    stream(sets[0], replace(FAST, features=replace(FAST.features, n_mels=26)))
    assert len(memory) <= 10


def test_the_pipeline_is_parallel_and_gives_each_batch_in_its_place(sets):
    config = replace(QUICK, epochs=2, batch_size=4, random_place=True)
    threads = set()

    def slow(samples, rng):
        threads.add(threading.get_ident())
        time.sleep(float(rng.uniform(0, 0.005)))  # so that batches are done out of order
        return samples * np.float32(rng.uniform(0.5, 1))

    batches = Batches(sets[0], ("fall", "rise"), config=config, augment_samples=slow)
    expected = [batches[number] for number in range(len(batches))]
    threads.clear()
    stream = pipeline(sets[0], config=config, augment_samples=slow)
    assert [tuple(spec.shape) for spec in stream.element_spec] == [(None, 50, 20), (None, 2)]
    got = list(stream.as_numpy_iterator())
    assert len(got) == len(expected) == 12
    for (features, targets), (right_features, right_targets) in zip(got, expected, strict=True):
        np.testing.assert_array_equal(features, right_features)
        np.testing.assert_array_equal(targets, right_targets)
    if len(os.sched_getaffinity(0)) > 1:
        assert len(threads) > 1
    [(features, _)] = list(batches.stream(11).as_numpy_iterator())  # from the middle on
    np.testing.assert_array_equal(features, expected[11][0])
    for number in (-1, 12):
        with pytest.raises(IndexError, match="12 batches"):
            batches[number]


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


def test_mixup_lays_each_clip_over_another_one_of_its_batch(sets):
    plain = TrainingConfig(epochs=2, batch_size=12, augmentation=None)
    mixed = stream(sets[0], replace(plain, mixup=0.8))
    np.testing.assert_array_equal(mixed[0][0], stream(sets[0], replace(plain, mixup=0.8))[0][0])
    for (clips, words), (batch, targets) in zip(stream(sets[0], plain), mixed, strict=True):
        assert 0.05 < np.abs(targets - words).max() <= 0.5
        np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
        for own, word, window, target in zip(clips, words, batch, targets, strict=True):
            away = window - own  # towards its partner, by the partner's share
            towards = clips - own
            share = (towards * away).sum((1, 2)) / np.maximum(np.square(towards).sum((1, 2)), 1e-9)
            left = np.abs(share[:, None, None] * towards - away).max((1, 2))
            partner = int(left.argmin())
            assert left[partner] < 1e-4 and share[partner] <= 0.5 + 1e-6
            np.testing.assert_allclose(target, word + share[partner] * (words[partner] - word), atol=1e-5)


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
        {"mixup": -0.1},
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
        {"optimizer": "magic"},
        {"schedule": "linear"},
        {"momentum": 1.0},
        {"clip_norm": 0.0},
        {"early_stopping": 0},
        {"final_learning_rate": 0.0, "schedule": "steps"},
    ],
    ids=str,
)
def test_configuration_names_what_it_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        TrainingConfig(**options)


def respoken(sets, *, normalization="mean", kind="log_mel", **changes):
    """Give all words as they are, and as one augmentation changes them."""
    how = replace(Augmentation.none(), **changes)
    features = FeatureConfig(kind=kind, n_mels=20, f_max=4000.0, normalization=normalization, top_db=40.0)
    config = TrainingConfig(epochs=1, random_place=False, augmentation=how, n_frames=120, features=features)
    batches = Batches(sets[0], ("fall", "rise"), config=config)
    rng = np.random.default_rng(0)
    words = [batches._clip(0, index) for index in range(len(sets[0]))]
    return features, words, [batches._respeak(word, rng) for word in words]


def test_cut_edges_shorten_words_and_normalise_anew(sets):
    _, words, cut = respoken(sets, cut_share=1.0, cut_frames=9)
    lost = []
    for before, left in zip(words, cut, strict=True):
        assert left.features.shape == (len(left.energy), before.features.shape[1])
        np.testing.assert_allclose(left.features.mean(axis=0), 0, atol=1e-4)  # the mean of what is left
        lost.append(len(before.features) - len(left.features))
        assert lost[-1] <= 2 * min(9, len(before.features) // 3)
    assert max(lost) > 4 and len(set(lost)) > 3


def test_respoken_words_keep_their_floor_and_are_normalised_last(sets):
    features, words, changed = respoken(
        sets, normalization="none", fade_share=0.5, fade_db=30.0, wander_db=4.0, color_db=2.0
    )
    for before, other in zip(words, changed, strict=True):
        assert np.abs(other.features - before.features).max() > features.from_db(1.0)
        assert np.ptp(other.features) <= features.from_db(40.0) * 1.0001
    for normalization in ("level", "mean", "both"):
        _, words, changed = respoken(sets, normalization=normalization, fade_share=1.0, wander_db=4.0)
        for before, other in zip(words, changed, strict=True):
            assert len(other.features) == len(before.features)
            halves = np.split(other.features, 2, axis=1) if normalization == "both" else [other.features]
            for half in halves:
                assert half.mean() == pytest.approx(0, abs=1e-4)
            if normalization != "level":
                np.testing.assert_allclose(halves[-1].mean(axis=0), 0, atol=1e-4)


def test_both_pictures_are_warped_alike(sets):
    _, _, changed = respoken(sets, normalization="both", warp=(1.2, 1.2))
    for word in changed:
        level, mean = np.split(word.features, 2, axis=1)
        np.testing.assert_allclose(level - level.mean(axis=0), mean, atol=1e-4)


def test_what_is_for_mel_bands_leaves_cepstra_alone(sets):
    _, words, changed = respoken(
        sets, kind="mfcc", normalization="none", fade_share=1.0, wander_db=4.0, color_db=2.0, warp=(1.2, 1.2)
    )
    for before, other in zip(words, changed, strict=True):
        np.testing.assert_array_equal(other.features, before.features)


@pytest.mark.parametrize("normalization", ["mean", "both"])
def test_words_that_are_only_hidden_or_left_alone_are_what_the_recogniser_sees(sets, normalization):
    features = FeatureConfig(n_mels=20, f_max=4000.0, normalization=normalization, top_db=40.0)
    config = TrainingConfig(epochs=1, random_place=False, augmentation=Augmentation.none(), features=features)
    batches = Batches(sets[0], ("fall", "rise"), config=config)
    chosen = np.arange(8)
    made = batches._batch(chosen, epoch=0, rng=np.random.default_rng(0))
    expected, _ = whole(sets[0], ("fall", "rise"), config=config)
    np.testing.assert_allclose(made, expected[:8], atol=2e-4)


def test_configuration_survives_a_dictionary():
    config = TrainingConfig(epochs=3, model=TINY, augmentation=Augmentation(mask_bands=2), variants=None)
    assert TrainingConfig.from_dict(config.to_dict()) == config
    assert TrainingConfig.from_dict(QUICK.to_dict()) == QUICK
    with pytest.raises(ValueError, match="'speed'"):
        TrainingConfig.from_dict({"speed": 3})
