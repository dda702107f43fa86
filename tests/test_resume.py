"""A training that was cut off goes on, and ends with the very weights that it would have had."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from beeps import beeps

from asrlib.augment import Augmentation
from asrlib.models import ArticleCnnConfig, CrnnConfig
from asrlib.training import Runs, TrainingConfig, train
from asrlib.training.checkpoints import Checkpoints, Saved
from asrlib.training.files import FileLock, write_whole

# Two dropouts, and no recurrent layer: TensorFlow takes most of these tests' time to plan the network.
SMALL = ArticleCnnConfig(filters=4, units=8)
COMMITTEE = CrnnConfig(
    conv_channels=(2,),
    pools=((4, 4),),
    projection=0,
    gru_units=4,
    bidirectional=False,
    head="last",
    members=2,
)
BASE = TrainingConfig(
    epochs=4, batch_size=8, learning_rate=0.02, n_frames=50, model=SMALL, augmentation=None, keep_best=False
)
KINDS = {
    "best weights, augmentation": replace(
        BASE, augmentation=Augmentation(mask_frames=4), variants=2, keep_best=True
    ),
    "average": replace(BASE, weight_average=0.8),
    "early stopping": replace(BASE, early_stopping=1, epochs=6, learning_rate=0.2),
    "momentum": replace(BASE, optimizer="nesterov", schedule="steps"),
    "average of two members": replace(BASE, model=COMMITTEE, weight_average=0.8, epochs=2),
}
DISTURBED = KINDS["best weights, augmentation"]
BATCHES = 3  # of an epoch: 24 clips in eights

KILLED = """
import json, os, signal, sys
from asrlib import datasets, training
folder, config, fatal, every = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
seen = []
def watch(progress):
    seen.append(progress)
    if len(seen) == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
training.train(
    datasets.from_folder(folder + "/a"), validation=datasets.from_folder(folder + "/b"),
    config=training.TrainingConfig.from_dict(config), progress=False, watch=watch,
    checkpoint=folder + "/state", checkpoint_every=every, runs=training.Runs(folder + "/runs"), name="killed",
)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sets")


@pytest.fixture(scope="module")
def sets(folder):
    return beeps(folder / "a", speakers=["ann", "bob", "cem"]), beeps(folder / "b", speakers=["dee"], seed=1)


class Cut(Exception):
    """Stands for whatever ends a training."""


def cut_after(calls):
    """Give a watcher that ends the training at its n-th call."""
    seen = []

    def watch(progress):
        seen.append(progress)
        if len(seen) == calls:
            raise Cut

    return watch


def trained(sets, config, **options):
    return train(sets[0], validation=sets[1], config=config, progress=False, **options)


def assert_equal(one, other):
    assert one.history == other.history
    assert (one.epoch, one.stopped) == (other.epoch, other.stopped)
    assert one.recognizer.weights.keys() == other.recognizer.weights.keys()
    for name, array in one.recognizer.weights.items():
        np.testing.assert_array_equal(array, other.recognizer.weights[name], err_msg=name)


@pytest.mark.parametrize("kind", list(KINDS)[1:4])
def test_a_training_cut_off_anywhere_ends_with_the_same_weights(sets, tmp_path, kind):
    config, calls = KINDS[kind], 6  # of the watcher, once a batch and once an epoch: in the second epoch
    whole = trained(sets, config)
    with pytest.raises(Cut):
        trained(sets, config, checkpoint=tmp_path, checkpoint_every=1, watch=cut_after(calls))
    seen = []
    resumed = trained(sets, config, checkpoint=tmp_path, resume=True, watch=seen.append)
    assert_equal(whole, resumed)
    # It went on and did not begin again: only the batch in which it was cut off is trained once more.
    epochs = len(whole.history["loss"])
    assert len(seen) == epochs * (BATCHES + 1) - calls + 1
    if config.early_stopping is not None:
        assert epochs < config.epochs  # else this would not test early stopping
    # Nothing is left to do; the state at the end gives the result once more.
    assert_equal(whole, trained(sets, config, checkpoint=tmp_path, resume=True))


@pytest.mark.parametrize(
    ("kind", "every"), [("best weights, augmentation", 2), ("average of two members", 1)]
)
def test_a_killed_process_resumes_to_the_bit(sets, folder, kind, every, tmp_path):
    config = KINDS[kind]
    # In the second epoch, or in the second member's first.
    fatal = 7 if config.model.members == 1 else 10
    for name in ("a", "b"):
        (tmp_path / name).symlink_to(folder / name)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), json.dumps(config.to_dict()), str(fatal), str(every)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    runs = Runs(tmp_path / "runs")
    assert [(run.name, run.status, run.epochs) for run in runs] == [
        ("killed", "abandoned", 1 if config.model.members == 1 else 2)
    ]
    resumed = trained(sets, config, checkpoint=tmp_path / "state", resume=True, runs=runs)
    assert_equal(trained(sets, config), resumed)
    assert [(run.name, run.status) for run in runs] == [("killed", "finished")]  # the same run, at its end
    assert resumed.run == runs[0]
    assert runs[0].history == resumed.history


@pytest.mark.parametrize("batch", [1, 3])
def test_a_stopped_training_goes_on(sets, tmp_path, batch):
    """Stopped within an epoch and at the end of one."""
    stop = threading.Event()

    def watch(progress):
        if (progress.epoch, progress.batch) == (2, batch):
            stop.set()

    stopped = trained(sets, DISTURBED, checkpoint=tmp_path, watch=watch, stop=stop)
    assert stopped.stopped
    assert len(stopped.history["loss"]) == len(stopped.history["val_loss"]) == 2
    stop.clear()
    assert_equal(
        trained(sets, DISTURBED), trained(sets, DISTURBED, checkpoint=tmp_path, resume=True, stop=stop)
    )


def test_without_a_state_resuming_begins_at_the_beginning(sets, tmp_path):
    config = replace(BASE, epochs=1)
    plain = trained(sets, config)
    assert_equal(plain, trained(sets, config, checkpoint=tmp_path / "new" / "folder", resume=True))


def test_a_state_of_something_else_is_refused(sets, tmp_path):
    config = replace(BASE, epochs=1)
    trained(sets, config, checkpoint=tmp_path)
    other = replace(config, learning_rate=0.01, model=replace(SMALL, dropout=0.1))
    with pytest.raises(
        ValueError, match=r"other settings: learning_rate 0.02 instead of 0.01, model.dropout"
    ):
        trained(sets, other, checkpoint=tmp_path, resume=True)
    with pytest.raises(ValueError, match="other recordings"):
        trained((sets[0][1:], sets[1]), config, checkpoint=tmp_path, resume=True)
    with pytest.raises(ValueError, match="need a folder"):
        trained(sets, config, resume=True)
    for every in (0, 1.5, True):
        with pytest.raises(ValueError, match="checkpoint_every"):
            trained(sets, config, checkpoint=tmp_path, checkpoint_every=every)


# -- files -----------------------------------------------------------------------------------------------


def test_a_state_survives_a_file_and_damage_is_told(tmp_path):
    with Checkpoints(tmp_path, config={"a": (1, 2)}, data=["x"]) as checkpoints:
        assert checkpoints.load() is None
        arrays = {"b/1": np.arange(3, dtype=np.uint32), "b/0": np.float32(0.1), "c": np.zeros((2, 0))}
        checkpoints.save({"loss": 0.1, "none": None}, arrays)
        saved = checkpoints.load()
        assert saved.values == {"loss": 0.1, "none": None}
        for name, array in arrays.items():
            np.testing.assert_array_equal(saved.arrays[name], array)
            assert saved.arrays[name].dtype == array.dtype
        assert list(saved.under("b/")) == ["1", "0"]
        file = tmp_path / "state.npz"
        whole = file.read_bytes()
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
        for damaged in (whole[:middle], b"", b"nonsense", flipped):
            file.write_bytes(damaged)
            with pytest.raises(ValueError, match="damaged"):
                checkpoints.load()
    assert Saved({}, {}).under("x") == {}


def test_a_folder_serves_one_training_at_a_time(tmp_path):
    with Checkpoints(tmp_path), pytest.raises(ValueError, match="Another training"), Checkpoints(tmp_path):
        pass
    with Checkpoints(tmp_path):
        pass


def test_a_file_is_whole_or_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_whole(path, b"old")
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"

    def no_room(handle):
        raise OSError("no space left on the device")

    monkeypatch.setattr(os, "fsync", no_room)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, b"newer")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]  # nothing half-written is left


def test_a_lock_is_held_once_and_ends_with_its_process(tmp_path):
    one, two = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert not one.is_held()
    assert one.acquire()
    assert two.is_held()
    assert not two.acquire()
    one.release()
    one.release()
    assert not two.is_held()
    code = "import sys, time; from asrlib.training.files import FileLock; lock = FileLock(sys.argv[1]);"
    holder = subprocess.Popen(
        [sys.executable, "-c", code + "lock.acquire(); print('held', flush=True); time.sleep(600)", two.path],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"held\n"
        assert two.is_held()
        assert not two.acquire()
    finally:
        holder.kill()
        holder.communicate()
    assert two.acquire()
    two.release()
