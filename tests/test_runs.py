"""Runs are kept whole, whoever else is writing; their table shows what they differ in."""

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asrlib.models import ArticleCnnConfig, CnnConfig, CrnnConfig, weight_shapes
from asrlib.recognizer import Recognizer
from asrlib.training import Runs, TrainingConfig
from asrlib.training.runs import Recorder, flat_settings

ROOT = Path(__file__).parent.parent
SMALL = TrainingConfig(model=ArticleCnnConfig(filters=2, units=2))


def machine(config=SMALL):
    shapes = weight_shapes(config.model, input_shape=config.input_shape)
    return Recognizer(
        features=config.features,
        model=config.model,
        weights={name: np.full(shape, 0.1, np.float32) for name, shape in shapes.items()},
        labels=tuple("0123456789"),
    )


def result(accuracies=(0.5, 0.25), *, epoch=None, stopped=False, config=SMALL):
    history = {"loss": [2.0, 1.0][: len(accuracies)], "val_accuracy": list(accuracies)}
    return SimpleNamespace(
        recognizer=machine(config),
        history=history,
        seconds=1.5,
        epoch=epoch or 1,
        stopped=stopped,
        waiting=0.125,
    )


def begin(runs, *, name="", config=SMALL, n_train=100, **options):
    return Recorder(
        runs,
        name=name,
        config=config.to_dict(),
        parameters=1_234,
        n_train=n_train,
        n_validation=20,
        **options,
    )


def record(runs, *, accuracies=(0.5, 0.25), **options):
    with begin(runs, **options) as recorder:
        return recorder.finish(result(accuracies, config=options.get("config", SMALL)))


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / "runs")


def test_a_run_is_written_down_from_its_beginning_to_its_end(runs):
    assert (len(runs), str(runs)) == (0, "No runs yet.")
    with begin(runs, name="first") as recorder:
        [run] = runs
        assert (run.id, run.name, run.status, run.epochs, run.accuracy) == (
            "001",
            "first",
            "running",
            0,
            None,
        )
        assert (run.parameters, run.n_train, run.n_validation) == (1_234, 100, 20)
        assert run.started.endswith("+00:00")
        with pytest.raises(ValueError, match="is running and has no recogniser"):
            run.recognizer()
        recorder.update(history={"loss": [2.0], "val_accuracy": [0.5]}, seconds=0.7)
        assert (runs[0].epochs, runs[0].accuracy, runs[0].seconds) == (1, 0.5, 0.7)
        run = recorder.finish(result(epoch=2))
    assert run == runs["001"] == runs[0] == runs[-1] == runs.best()
    assert (run.status, run.epoch, run.accuracy, run.waiting) == ("finished", 2, 0.25, 0.125)
    assert run.train_config() == SMALL
    np.testing.assert_array_equal(run.recognizer().weights["logits/bias"], machine().weights["logits/bias"])
    assert "article_cnn, finished after 2 epochs, 25.0 % right" in str(run)
    assert repr(runs) == "Runs(1 run in 'runs')"
    with pytest.raises(KeyError, match=r"no run '7'.*001"):
        runs["7"]
    with pytest.raises(IndexError):
        runs[1]


def test_how_a_run_can_end(runs):
    for error in (KeyboardInterrupt(), ZeroDivisionError("nothing to divide")):
        with pytest.raises(type(error)), begin(runs):
            raise error
    with begin(runs) as recorder:
        recorder.finish(result(stopped=True))
    assert [run.status for run in runs] == ["stopped", "failed", "stopped"]
    assert runs[1].error == "ZeroDivisionError: nothing to divide"
    assert runs.best().id == "003"  # the others gave no recogniser


def test_without_runs_a_recorder_does_nothing(tmp_path):
    with begin(None) as recorder:
        recorder.update(seconds=1.0)
        assert recorder.finish(result()) is None
        assert recorder.run_id is None


def test_an_interrupted_run_is_taken_up_again(runs):
    with pytest.raises(KeyboardInterrupt), begin(runs, name="long") as recorder:
        run_id = recorder.run_id
        raise KeyboardInterrupt
    with begin(runs, run_id=run_id) as recorder:
        assert [(run.id, run.name, run.status) for run in runs] == [("001", "long", "running")]
        with begin(runs, run_id=run_id) as other:  # somebody has it already
            assert other.run_id == "002"
        recorder.finish(result())
    assert [run.status for run in runs] == ["finished", "abandoned"]
    with begin(runs, run_id="001", config=replace(SMALL, seed=1)) as other:  # another training's
        assert other.run_id == "003"
    with begin(runs, run_id="017") as other:  # deleted meanwhile
        assert other.run_id == "004"


WRITER = """
import sys
sys.path.insert(0, sys.argv[3])
from test_runs import Runs, begin, result
runs = Runs(sys.argv[1])
for number in range(int(sys.argv[2])):
    with begin(runs, name=f"{sys.argv[4]} {number}") as recorder:
        for epoch in range(5):
            recorder.update(history={"loss": [1.0] * epoch, "val_accuracy": [0.5] * epoch})
        recorder.finish(result())
"""


def writer(folder, *, count, name):
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(count), str(Path(__file__).parent), name],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )


def test_two_processes_write_at_once_and_a_third_reads(runs):
    writers = [writer(runs.folder, count=12, name=name) for name in ("ann", "bob")]
    while any(process.poll() is None for process in writers):
        for run in runs:  # never half a file, never a run that seems dead
            assert run.status in ("running", "finished")
    assert [process.communicate()[1] for process in writers] == [b"", b""]
    assert [run.id for run in runs] == [f"{number:03}" for number in range(1, 25)]
    assert sorted(run.name for run in runs) == sorted(
        f"{who} {n}" for who in ("ann", "bob") for n in range(12)
    )
    assert {run.status for run in runs} == {"finished"}
    assert {path.name for folder in runs.folder.iterdir() for path in folder.iterdir()} == {
        "run.json", "model.asr", "lock",
    }  # fmt: skip


def test_the_run_of_a_dead_process_is_abandoned(runs):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[2]); from test_runs import Runs, begin;"
        "recorder = begin(Runs(sys.argv[1]), name='lost').__enter__(); recorder.update(seconds=3.0);"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(runs.folder), str(Path(__file__).parent)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    [run] = runs
    assert (run.name, run.status, run.seconds) == ("lost", "abandoned", 3.0)
    with pytest.raises(ValueError, match="train one first"):
        runs.best()
    assert "abandoned" in runs.table()


def test_deleting(runs):
    record(runs)
    record(runs)
    with begin(runs) as recorder, pytest.raises(ValueError, match="003 is running"):
        runs.delete(recorder.run_id)
    runs.delete("001")
    assert [run.id for run in runs] == ["002", "003"]
    assert {path.name for path in runs.folder.iterdir()} == {"002", "003"}
    with pytest.raises(KeyError):
        runs.delete("001")
    assert record(runs).id == "004"


def test_what_is_not_a_run_is_left_alone_and_damage_is_told(runs):
    record(runs)
    (runs.folder / "notes").mkdir()
    (runs.folder / "002").mkdir()  # only just beginning
    (runs.folder / "003").write_text("a file")
    assert [run.id for run in runs] == ["001"]
    for text in ('{"id": "004"', '{"id": "004"}', "[]"):
        (runs.folder / "004").mkdir(exist_ok=True)
        (runs.folder / "004" / "run.json").write_text(text)
        with pytest.warns(UserWarning, match="damaged"):
            assert [run.id for run in runs] == ["001"]


# -- tables --------------------------------------------------------------------------------------------------


@pytest.fixture
def three(runs):
    record(runs, name="base")
    faster = replace(SMALL, learning_rate=0.01, features=replace(SMALL.features, n_mels=30))
    record(runs, name="fast", config=faster, accuracies=(0.75,))
    record(
        runs, name="other", config=replace(SMALL, model=CrnnConfig(), augmentation=None), accuracies=(0.1,)
    )
    return runs


def columns(table):
    return table.splitlines()[0].split()


def test_a_table_shows_what_differs_and_marks_the_best(three):
    table = three.table()
    assert columns(table) == [
        "run", "name", "status", "accuracy", "epochs", "parameters", "seconds",
        "learning_rate", "augmentation", "n_mels", "model",
    ]  # fmt: skip
    lines = table.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["001", "002*", "003"]
    assert lines[2].split()[1:6] == ["fast", "finished", "75.0", "%", "1"]
    assert lines[3].split()[-3:] == ["off", "20", "crnn"]
    assert lines[4] == "* best on its validation set"
    by_accuracy = [line.split()[0] for line in three.table(sort="accuracy").splitlines()[1:4]]
    assert by_accuracy == ["002*", "001", "003"]
    assert columns(three.table(columns=["run", "accuracy"])) == ["run", "accuracy"]
    for options in ({"sort": "colour"}, {"columns": ["colour"]}):
        with pytest.raises(ValueError, match="no column 'colour'; there are run, name"):
            three.table(**options)


def test_equal_runs_and_sets_of_another_size(runs):
    record(runs)
    assert columns(runs.table()) == ["run", "status", "accuracy", "epochs", "parameters", "seconds"]
    record(runs, n_train=50)
    assert columns(runs.table())[-1] == "clips"


def test_settings_of_another_family_are_no_difference(runs):
    record(runs, config=replace(SMALL, model=CnnConfig()))
    record(runs, config=replace(SMALL, model=ArticleCnnConfig(filters=8)))
    record(runs, config=replace(SMALL, model=ArticleCnnConfig(filters=16, dropout=0.1)))
    assert columns(runs.table())[6:] == ["model", "filters", "dropout"]
    assert "–" in runs.table()  # the convolutional network has no filters


def test_settings_become_flat_and_name_every_choice():
    flat = flat_settings(TrainingConfig().to_dict())
    assert flat["features.n_mels"] == 20
    assert flat["augmentation"] == "on"
    assert "augmentation.speed" in flat
    assert flat["model.family"] == "crnn"


def test_csv_has_a_line_a_run(three, tmp_path):
    path = three.to_csv(tmp_path / "runs.csv")
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    assert [row["name"] for row in rows] == ["base", "fast", "other"]
    assert [float(row["accuracy"]) for row in rows] == [0.5, 0.75, 0.1]
    assert [row["model.filters"] for row in rows] == ["2", "2", ""]
    assert [row["learning_rate"] for row in rows] == ["0.002", "0.01", "0.002"]


def test_tensorboard_reads_the_curves(three, tmp_path):
    from tensorflow.python.summary.summary_iterator import summary_iterator

    folder = three.to_tensorboard(tmp_path / "board")
    assert sorted(path.name for path in folder.iterdir()) == ["001-base", "002-fast", "003-other"]
    [file] = (folder / "001-base").iterdir()
    found, texts = {}, []
    for event in summary_iterator(str(file)):
        for value in event.summary.value:
            if value.metadata.plugin_data.plugin_name == "text":
                texts.append(value.tensor.string_val[0])
            else:
                numbers = np.frombuffer(value.tensor.tensor_content, np.float32)
                found.setdefault(value.tag, []).append(
                    (event.step, *numbers.tolist(), *value.tensor.float_val)
                )
    assert found == {
        "loss/training": [(1, 2.0), (2, 1.0)],
        "accuracy/validation": [(1, 0.5), (2, 0.25)],
    }
    assert json.loads(texts[0].decode().strip("`\n")) == json.loads(json.dumps(SMALL.to_dict()))


def test_a_notebook_may_change_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = Runs()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    record(runs)
    assert (tmp_path / "runs" / "001" / "run.json").exists()
