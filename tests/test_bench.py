"""The training bench without a browser: its buttons, its threads, its table, its words."""

import contextlib
import io
import re
import subprocess
import sys
import threading
import time
from dataclasses import replace

import ipywidgets
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from asrlib import datasets, plots, training
from asrlib.models import FAMILIES
from asrlib.plots.common import LOOKS
from asrlib.plots.training import LearningCurves
from asrlib.recognizer import Recognizer
from asrlib.training import Progress, Runs, TrainingConfig, TrainingResult
from asrlib.widgets import TrainingBench, bench_job, bench_run
from asrlib.widgets.bench_settings import (
    BENCH_CONFIG,
    SETTINGS,
    applied,
    problems,
    read,
    settings_for,
    some_of,
)
from asrlib.widgets.bench_table import best_of, runs_table
from asrlib.widgets.bench_view import table_as_html
from asrlib.widgets.picture import Picture

SECONDS = 60  # to wait for anything at most
TINY = {"model": "softmax", "clips": 40, "epochs": 2, "batch_size": 10}


@pytest.fixture(scope="module")
def sets():
    return datasets.digits("train"), some_of(datasets.digits("validation"), 30)


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer.default()


class Puppet:
    """Stands for `training.train`: takes as many steps as it is let, and does what it is told."""

    batches = 5

    def __init__(self, recognizer):
        self.recognizer = recognizer
        self.calls = []
        self.at_once = threading.Semaphore(1)  # taken by another: two trainings at the same time
        self.overlapped = False
        self.steps = threading.Semaphore(0)
        self.taken = 0
        self.error = None

    def let(self, count):
        for _ in range(count):
            self.steps.release()

    def __call__(self, train_set, *, validation, config, progress, watch, stop, runs, name=None):
        self.overlapped |= not self.at_once.acquire(blocking=False)
        try:
            self.calls.append((train_set, config))
            return self._train(config, watch, stop)
        finally:
            self.at_once.release()

    def _train(self, config, watch, stop):
        history = {key: [] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
        for step in range(config.epochs * self.batches):
            while not self.steps.acquire(timeout=0.01):
                if stop.is_set():
                    return self._result(history, stopped=True)
            if self.error:
                raise self.error
            self.taken += 1
            epoch, batch = divmod(step, self.batches)
            share = (step + 1) / (config.epochs * self.batches)
            now = Progress(
                epoch + 1, config.epochs, batch + 1, self.batches, 2.3 * (1 - share), share, None, None,
                0.1 * step, 1.0, 0.0, {name: list(values) for name, values in history.items()},
            )  # fmt: skip
            watch(now)
            if batch + 1 == self.batches:
                for key, value in (("loss", now.loss), ("accuracy", share)):
                    history[key].append(value)
                    history[f"val_{key}"].append(value)
                watch(replace(now, history=dict(history)))
            if stop.is_set():
                return self._result(history, stopped=True)
        return self._result(history, stopped=False)

    def _result(self, history, *, stopped):
        return TrainingResult(self.recognizer, history, 1.0, len(history["loss"]), stopped=stopped)


@pytest.fixture
def puppet(recognizer, monkeypatch):
    puppet = Puppet(recognizer)
    monkeypatch.setattr(training, "train", puppet)
    monkeypatch.setattr(bench_job.models, "import_keras", lambda: None)
    yield puppet
    puppet.let(10_000)
    for job in bench_job.under_way():
        job.stop()
    wait_until(lambda: not bench_job.under_way())


@pytest.fixture
def make(sets, tmp_path):
    def make(**options):
        bench = TrainingBench(*sets, **{"runs": Runs(tmp_path / "runs"), **TINY, **options})
        _ = bench.widget
        return bench

    return make


def wait_until(holds):
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def press(button):
    button.click()


def pixels(bench):
    return np.asarray(Image.open(io.BytesIO(bench.widget.image.value)).convert("RGB")).astype(int)


def note(bench, name):
    """Return what stands below a control, "" when nothing is seen there."""
    row = bench._rows[settings_for(bench.values["model"])[name]]
    return row.note.value if row.note.layout.display != "none" else ""


# --- what it costs to have one


def test_neither_importing_nor_showing_a_bench_loads_tensorflow_or_says_a_word():
    code = (
        "import sys, tempfile\n"
        "from asrlib import datasets\n"
        "from asrlib.training import Runs\n"
        "from asrlib.widgets import TrainingBench\n"
        "runs = Runs(tempfile.mkdtemp())\n"
        "bench = TrainingBench(datasets.digits('train'), datasets.digits('validation'), runs=runs)\n"
        "bundle = bench._repr_mimebundle_()\n"
        "bench.set(model='article_cnn', learning_rate=0.0)\n"
        "bench.widget.train_button.click()\n"
        "assert {'image/png', 'text/plain', 'application/vnd.jupyter.widget-view+json'} <= set(bundle)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules), 'loaded'\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_stored_notebook_keeps_the_picture_and_one_constant_sentence(make):
    bench = make()
    bundle = bench._repr_mimebundle_()
    assert bundle["text/plain"].startswith("Training bench")
    assert "\n" not in bundle["text/plain"]


# --- settings


@pytest.mark.parametrize("family", FAMILIES)
def test_the_settings_of_every_family_go_into_a_configuration_and_come_back(family):
    values = applied({"model": family}, config=BENCH_CONFIG)
    config = TrainingConfig.from_dict(values)
    assert config.model.family == family
    found = read(config)
    assert set(found) == set(settings_for(family)) - {"clips"}
    again = TrainingConfig.from_dict(applied(found, config=TrainingConfig()))
    assert again.model == config.model
    assert read(again) == found


def test_every_size_of_every_family_can_be_turned():
    """A family that gains an option must gain a control or be left out on purpose."""
    left_out = {"pools", "projection", "projection_dropout", "members", "family"}
    for family, config in FAMILIES.items():
        assert set(config().to_dict()) - left_out <= set(settings_for(family)), family


def test_the_lists_offer_all_that_a_configuration_takes():
    by_name = {setting.name: setting for setting in SETTINGS}
    assert set(by_name["optimizer"].words) == set(training.OPTIMIZERS)
    assert set(by_name["schedule"].words) == set(training.SCHEDULES)
    assert set(by_name["model"].words) == set(FAMILIES)


def test_every_step_of_every_control_is_a_value_or_a_problem_in_words(sets):
    """Nothing that can be chosen may raise: what cannot work is said beside its control."""
    for setting in SETTINGS:
        if setting.name == "clips":
            continue
        family = setting.family or "crnn"
        chosen = setting.among or tuple(setting.words or ()) or setting.limits or (False, True)
        for value in chosen:
            value = None if setting.off is not None and value == setting.off else value
            found = problems({"model": family, setting.name: value}, config=BENCH_CONFIG)
            if not found:
                TrainingConfig.from_dict(applied({"model": family, setting.name: value}, config=BENCH_CONFIG))
            assert all(len(message) > 20 for message in found.values())


def test_what_no_control_shows_comes_from_the_configuration():
    config = TrainingConfig(label_smoothing=0.2, n_frames=80)
    values = applied({"epochs": 3}, config=config)
    assert (values["label_smoothing"], values["n_frames"], values["epochs"]) == (0.2, 80, 3)


def test_few_bands_are_no_trouble_for_coefficients_that_nobody_takes():
    assert problems({"n_mels": 8}, config=BENCH_CONFIG) == {}
    assert "Lower n_mfcc or raise n_mels" in str(problems({"n_mels": 8, "kind": "mfcc"}, config=BENCH_CONFIG))


def test_switching_augmentation_on_moves_clips_in_the_window_too():
    assert applied({"augmentation": True}, config=BENCH_CONFIG)["random_place"] is True
    off = applied({"augmentation": False}, config=TrainingConfig())
    assert (off["augmentation"], off["random_place"]) == (None, False)
    same = applied({"augmentation": False}, config=replace(BENCH_CONFIG, random_place=True))
    assert same["random_place"] is True


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"model": "article_cnn", "kernel_size": 101}, "kernel_size"),
        ({"model": "article_cnn", "kernel_size": 101, "learning_rate": 0.0}, "learning_rate"),
        ({"f_max": 9000.0}, "f_max"),
        ({"n_mels": 80, "f_max": 1000.0}, "n_mels"),
        ({"kind": "mfcc", "n_mfcc": 30}, "n_mfcc"),
        ({"model": "cnn", "channels": (8, 16, 16, 32, 32, 48, 48)}, "channels"),
        ({"model": "crnn", "dropout": 1.0}, "dropout"),
    ],
)
def test_a_setting_that_cannot_work_is_said_beside_its_control(make, puppet, settings, name):
    bench = make()
    bench.set(**settings)
    assert name in bench.problems
    assert bench.problems[name] in note(bench, name).replace("&#x27;", "'")
    press(bench.widget.train_button)
    assert bench.state == "idle"
    assert "cannot work" in bench.widget.said.value
    assert puppet.calls == []
    with pytest.raises(ValueError, match=name):
        bench.train()
    press(bench.widget.reset_button)
    assert bench.problems == {}
    assert name not in bench.values or note(bench, name) == ""


def test_only_the_chosen_familys_controls_are_seen(make):
    bench = make()
    for family in FAMILIES:
        bench.inputs["model"].value = family
        seen = {
            (setting.family, setting.name)
            for setting, row in bench._rows.items()
            if row.box.layout.display != "none"
        }
        assert {family for family, _ in seen} <= {None, family}
        assert {name for _, name in seen} == set(bench.values) - {"n_mfcc"}
    bench.set(kind="mfcc")
    assert bench._rows[settings_for("rnn")["n_mfcc"]].box.layout.display != "none"


def test_an_unknown_setting_is_refused_by_name(make, sets):
    with pytest.raises(ValueError, match="no setting 'unit' for the network 'softmax'"):
        make().set(unit=3)
    with pytest.raises(ValueError, match="no setting 'unit'"):
        bench_run(*sets, model="rnn", unit=3)


def test_the_facts_follow_the_network(make):
    bench = make()
    bench.set(model="article_cnn", clips=100, batch_size=32)
    assert "204\N{NO-BREAK SPACE}074 parameters" in bench.widget.facts.value
    assert "4 batches/epoch" in bench.widget.facts.value
    bench.set(learning_rate=0.0)
    assert "parameters" not in bench.widget.facts.value


def test_clips_are_spread_over_words_and_speakers_and_the_few_are_among_the_many(sets):
    train_set = sets[0]
    few, many = some_of(train_set, 92), some_of(train_set, 460)
    assert set(few.files) < set(many.files)
    for chosen in (few, many):
        words = np.unique(chosen.labels, return_counts=True)[1]
        assert words.max() - words.min() <= 1
    assert len(set(many.speakers)) > 0.95 * len(set(train_set.speakers))
    assert some_of(train_set, 10**6) is train_set
    with pytest.raises(ValueError, match="one clip or more"):
        some_of(train_set, 0)


# --- Train, watch, Stop


def test_the_curves_the_bar_and_the_words_follow_a_training(make, puppet):
    bench = make()
    idle, view = pixels(bench), bench.widget
    assert view.is_off(view.stop_button)
    press(view.train_button)
    assert bench.state in ("loading", "training")
    assert not view.is_off(view.stop_button)
    assert view.is_off(view.train_button)
    puppet.let(3)
    wait_until(lambda: view.progress.value == pytest.approx(0.3))
    wait_until(lambda: "batch 3 of 5" in view.status.value)
    first = pixels(bench)
    assert np.abs(first - idle).max() > 50
    puppet.let(5)
    wait_until(lambda: view.progress.value == pytest.approx(0.8))
    assert np.abs(pixels(bench) - first).max() > 50
    puppet.let(2)
    result = bench.wait(SECONDS)
    assert (bench.state, view.progress.value, view.progress.bar_style) == ("idle", 1.0, "success")
    assert bench.result is result
    assert bench.recognizer is result.recognizer
    assert "100.0 % of the validation clips right, after 2 epochs" in view.said.value
    assert view.is_off(view.stop_button)
    assert not view.is_off(view.train_button)


def test_pressing_train_twice_trains_once_and_says_so(make, puppet):
    bench = make()
    press(bench.widget.train_button)
    wait_until(lambda: puppet.calls)
    press(bench.widget.train_button)
    bench.train()
    assert "already" in bench.widget.said.value
    puppet.let(10)
    bench.wait(SECONDS)
    assert len(puppet.calls) == 1


def test_stop_ends_it_after_the_batch_under_way_and_keeps_what_was_learned(make, puppet):
    bench = make()
    press(bench.widget.train_button)
    puppet.let(6)
    wait_until(lambda: puppet.taken == 6)
    press(bench.widget.stop_button)
    assert bench.state == "stopping" or bench.state == "idle"
    puppet.let(1)  # the batch under way
    result = bench.wait(SECONDS)
    assert puppet.taken <= 7
    assert result.stopped
    assert bench.widget.status.value == "Stopped."
    assert ", stopped." in bench.widget.said.value
    press(bench.widget.stop_button)
    assert "Nothing is being trained" in bench.widget.said.value


def test_stop_before_the_first_batch_is_a_stop_too(make, puppet, monkeypatch):
    loading = threading.Event()
    monkeypatch.setattr(bench_job.models, "import_keras", lambda: loading.wait(SECONDS))
    bench = make()
    press(bench.widget.train_button)
    assert "Loading TensorFlow" in bench.widget.status.value
    assert bench.state == "loading"
    press(bench.widget.stop_button)
    assert bench.state == "stopping"
    loading.set()
    assert bench.wait(SECONDS) is None
    assert puppet.calls == []
    assert "before the training began" in bench.widget.status.value
    puppet.let(10)
    press(bench.widget.train_button)
    assert bench.wait(SECONDS) is not None


def test_an_error_in_the_thread_is_shown_in_words_and_the_next_training_clears_it(make, puppet):
    bench = make()
    puppet.error = RuntimeError("the <gradient> met a wall")
    press(bench.widget.train_button)
    puppet.let(1)
    with pytest.raises(RuntimeError, match="met a wall"):
        bench.wait(SECONDS)
    assert bench.error is puppet.error
    trouble = bench.widget.trouble
    assert "<b>RuntimeError</b>: the &lt;gradient&gt; met a wall" in trouble.value
    assert "in _train" in trouble.value  # where it happened, on demand
    assert (bench.state, trouble.layout.display) == ("idle", None)
    puppet.error = None
    puppet.let(10)
    press(bench.widget.train_button)
    bench.wait(SECONDS)
    assert (bench.error, trouble.value) == (None, "")
    done = pixels(bench)
    press(bench.widget.train_button)
    assert np.abs(pixels(bench) - done).max() > 50  # old curves would pass for the new training's


def test_a_failed_drawing_does_not_lose_the_training(make, puppet, monkeypatch):
    bench = make()
    monkeypatch.setattr(bench._curves, "show", lambda *_, **__: 1 / 0)
    with contextlib.suppress(ZeroDivisionError):
        bench.train()
    puppet.let(10)
    assert bench.wait(SECONDS) is not None
    assert bench.recognizer is puppet.recognizer
    assert isinstance(bench.error, ZeroDivisionError)


def test_turning_a_control_meanwhile_changes_the_next_training_only(make, puppet):
    bench = make()
    press(bench.widget.train_button)
    wait_until(lambda: puppet.calls)
    bench.inputs["epochs"].value = 7
    puppet.let(10)
    bench.wait(SECONDS)
    assert puppet.calls[0][1].epochs == 2
    assert bench.config.epochs == 7


def test_a_training_that_takes_too_long_is_stopped(make, puppet):
    bench = make(max_seconds=0.25)
    puppet.let(1000)
    bench.train(epochs=20)
    assert bench.wait(SECONDS).stopped
    assert "limit of 0.25 s" in bench.widget.said.value or "before its first epoch" in bench.widget.said.value


def test_wait_gives_up_in_time_and_the_training_goes_on(make, puppet):
    bench = make()
    bench.train()
    with pytest.raises(TimeoutError, match=r"not done after 0.05 s"):
        bench.wait(0.05)
    puppet.let(10)
    assert bench.wait(SECONDS) is not None


def test_a_bench_that_never_trained_has_nothing_to_wait_for(make):
    assert make().wait(SECONDS) is None


# --- two benches, and one twice


def test_of_two_benches_one_trains_and_the_other_waits_its_turn(make, puppet, tmp_path):
    first, second = make(), make(runs=Runs(tmp_path / "others"))
    press(first.widget.train_button)
    wait_until(lambda: puppet.calls)
    press(second.widget.train_button)
    wait_until(lambda: second.state == "waiting")
    assert "Another training" in second.widget.status.value
    puppet.let(10)
    first.wait(SECONDS)
    puppet.let(10)
    second.wait(SECONDS)
    assert len(puppet.calls) == 2
    assert not puppet.overlapped


def test_stop_ends_the_waiting_too(make, puppet, tmp_path):
    first, second = make(), make(runs=Runs(tmp_path / "others"))
    first.train()
    wait_until(lambda: puppet.calls)
    second.train()
    press(second.widget.stop_button)
    assert second.wait(SECONDS) is None
    assert first.state == "training"
    assert len(puppet.calls) == 1


def test_a_cell_that_is_run_again_follows_its_training(make, puppet):
    old = make()
    old.train()
    puppet.let(3)
    wait_until(lambda: puppet.taken == 3)
    new = make()
    assert new.state == "training"
    wait_until(lambda: new.widget.progress.value == pytest.approx(0.3))
    press(new.widget.train_button)
    press(new.widget.stop_button)
    assert new.wait(SECONDS).stopped
    assert old.wait(SECONDS) is new.result
    assert len(puppet.calls) == 1


def test_a_bench_of_another_folder_minds_its_own_business(make, puppet, tmp_path):
    make().train()
    assert make(runs=Runs(tmp_path / "others")).state == "idle"


def test_the_end_of_the_kernel_stops_a_training_in_order(make, puppet):
    bench = make()
    bench.train()
    puppet.let(2)
    wait_until(lambda: puppet.taken == 2)
    bench_job._end_with_the_kernel()
    assert bench_job.under_way() == []
    assert bench.wait(SECONDS).stopped


def test_other_widgets_answer_while_it_trains(make, puppet):
    bench, seen = make(), []
    slider = ipywidgets.IntSlider()
    slider.observe(lambda change: seen.append(change["new"]), names="value")
    bench.train()
    puppet.let(4)
    for value in range(1, 6):
        slider.value = value
    assert seen == [1, 2, 3, 4, 5]
    assert bench.state != "idle"


# --- real trainings


@pytest.fixture(scope="module")
def trained(sets, tmp_path_factory):
    """Three real runs: by the button, by the call with the same settings, and another one."""
    runs = Runs(tmp_path_factory.mktemp("runs"))
    bench = TrainingBench(*sets, runs=runs, **TINY)
    press(bench.widget.train_button)
    bench.wait(300)
    bench_run(*sets, runs=runs, **TINY)
    bench.train(model="article_cnn", filters=5, units=12, learning_rate=0.0123, seed=3)
    bench.wait(300)
    return bench


def test_the_call_does_exactly_what_the_button_does(trained):
    first, second = list(trained.runs)[:2]
    assert first.config == second.config
    assert first.history == second.history
    ours, theirs = first.recognizer().weights, second.recognizer().weights
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)


def test_a_real_training_leaves_a_run_with_its_settings(trained):
    run = trained.runs[0]
    assert (run.status, run.n_train, run.n_validation) == ("finished", 40, 30)
    assert len(run.history["loss"]) == 2
    assert trained.result.run.id == trained.runs[-1].id


def test_the_table_lists_all_runs_the_newest_first_and_marks_the_best(trained):
    table = trained.widget.table
    assert [row["id"] for row in table["rows"]] == [run.id for run in list(trained.runs)[::-1]]
    best = best_of(trained.runs)
    assert best.id == trained.runs.best().id
    marked = [row["id"] for row in table["rows"] if row["best"]]
    assert marked == [best.id]
    assert [row["id"] for row in table["rows"] if row["cells"][0]["text"].startswith("★")] == marked
    titles = [column["title"] for column in table["columns"]]
    assert {"run", "validation", "seconds", "parameters", "network", "learning rate", "seed"} <= set(titles)
    assert not {"epochs", "clips", "dropout", "filters"} & set(titles)  # in these all runs of a family agree
    assert all(len(row["cells"]) == len(titles) for row in table["rows"])


def test_loading_a_run_sets_the_controls_and_takes_its_network(trained, sets):
    bench = TrainingBench(*sets, runs=trained.runs)
    _ = bench.widget
    blank = pixels(bench)
    run = trained.runs[2]
    bench.widget.desk._handle_custom_msg({"kind": "load", "id": run.id}, [])
    assert bench.error is None
    assert (bench.values["model"], bench.values["filters"], bench.values["learning_rate"]) == (
        "article_cnn", 5, 0.0123,
    )  # fmt: skip
    assert bench.values["clips"] == 40
    assert bench.config == run.train_config()
    weights, loaded = run.recognizer().weights, bench.recognizer.weights
    assert all(np.array_equal(weights[name], loaded[name]) for name in weights)
    assert np.abs(pixels(bench) - blank).max() > 50
    assert [row["id"] for row in bench.widget.table["rows"] if row["loaded"]] == [run.id]
    assert f"Run {run.id} is loaded" in bench.widget.said.value
    press(bench.widget.reset_button)
    assert bench.values["model"] == "crnn"
    bench.load()
    assert f"Run {trained.runs.best().id} is loaded" in bench.widget.said.value


def test_a_run_that_is_gone_is_said_to_be(trained):
    trained.widget.desk._handle_custom_msg({"kind": "load", "id": "777"}, [])
    assert "no run &#x27;777&#x27;" in trained.widget.trouble.value
    with pytest.raises(ValueError, match="no run '777'"):
        trained.load("777")


def test_a_table_without_runs_is_empty(tmp_path):
    assert runs_table(Runs(tmp_path))["rows"] == []
    assert table_as_html(runs_table(Runs(tmp_path))) == ""
    assert best_of([]) is None


def test_the_table_is_sorted_by_a_column_and_stays_so(trained):
    view = trained.widget
    titles = [column["title"] for column in view.table["columns"]]

    def shown():
        return re.findall(r'data-load="(\d+)"', view.runs.value)

    view.desk._handle_custom_msg({"kind": "sort", "column": titles.index("run")}, [])
    assert shown() == sorted(shown(), reverse=True)
    view.desk._handle_custom_msg({"kind": "sort", "column": titles.index("run")}, [])
    assert shown() == sorted(shown())
    view.desk._handle_custom_msg({"kind": "sort", "column": titles.index("learning rate")}, [])
    assert 'aria-sort="descending"' in view.runs.value
    first = shown()[0]
    assert trained.runs[first].train_config().learning_rate == 0.0123
    trained._show_runs()
    assert shown()[0] == first
    view.desk._handle_custom_msg({"kind": "sort", "column": 99}, [])
    view.desk._handle_custom_msg({"kind": "sort", "column": "x"}, [])
    assert shown()[0] == first
    view.order = None


def test_what_is_missing_is_sorted_last_and_names_are_written_safely():
    row = {"name": "<b>", "status": "finished", "best": False, "loaded": False}
    cells = [{"text": "7", "sort": 7}, {"text": "", "sort": None}, {"text": "<9", "sort": 9}]
    table = {
        "columns": [{"title": "x<y", "number": True}],
        "rows": [{**row, "id": i, "cells": [cell]} for i, cell in enumerate(cells)],
    }
    for falling, order in ((False, ["0", "2", "1"]), (True, ["2", "0", "1"])):
        written = table_as_html(table, order=(0, falling))
        assert re.findall(r'data-load="(\d+)"', written) == order
        assert "<b>" not in written
        assert "&lt;9" in written


def test_loading_where_there_is_no_run_says_what_to_do(make):
    with pytest.raises(ValueError, match="Press Train first"):
        make().load()


# --- what it looks like


def test_the_picture_follows_the_theme_of_the_page(make):
    bench = make()
    light = pixels(bench).mean()
    bench.widget.desk.theme = "dark"
    assert pixels(bench).mean() < 60 < 200 < light
    bench.widget.desk.theme = "light"
    assert pixels(bench).mean() == light


def test_every_word_of_the_picture_has_the_colour_of_its_theme():
    """Also when the course's style is that of another theme."""
    plots.style("light")
    figure = Figure()
    LearningCurves(figure, chance=0.1, theme=LOOKS["dark"])
    figure.canvas.draw()
    words = [text for text in figure.findobj(Text) if text.get_text()]
    assert {"loss", "accuracy (%)", "epoch", "training", "guessing"} <= {text.get_text() for text in words}
    assert {to_hex(text.get_color()) for text in words} == {LOOKS["dark"].ink}


def some_history(epochs=6):
    at = np.arange(1, epochs + 1)
    return {
        "loss": (2.3 * np.exp(-at / 3)).tolist(),
        "accuracy": (1 - np.exp(-at / 3)).tolist(),
        "val_loss": (0.3 + 2.0 * np.exp(-at / 3)).tolist(),
        "val_accuracy": (0.9 - 0.8 * np.exp(-at / 3)).tolist(),
    }


def test_the_live_curves_equal_a_full_drawing():
    picture = Picture((8.4, 2.6), dpi=60)
    curves = LearningCurves(picture.figure, chance=0.1)
    picture.let_move(curves.moving)
    for epochs in (1, 3, 6):
        at = np.arange(1, 10 * epochs) / 10
        steps = {"epoch": at, "loss": 4 * np.exp(-at), "accuracy": 1 - np.exp(-at)}
        curves.show(some_history(epochs), steps=steps, epochs=6, best=some_history(8))
        quick = picture.pixels()[..., :3].astype(int)
        assert np.abs(quick - picture.drawn_anew()[..., :3]).mean() < 0.5


def test_the_axes_of_the_loss_make_room_in_steps_and_stand_nan():
    curves = LearningCurves(Figure())
    tops = []
    for loss in (1.0, 2.4, 2.6, 2.9, 40.0, 45.0, np.nan, np.inf):
        curves.show({"loss": [loss]}, epochs=4)
        tops.append(curves.axes[0].get_ylim()[1])
    assert tops == [2.5, 2.5, 3, 3, 50, 50, 2.5, 2.5]


def test_the_curve_between_epochs_is_the_mean_of_the_last_half_epoch():
    curves = LearningCurves(Figure())
    at = np.arange(1, 21) / 10
    curves.show({}, steps={"epoch": at, "loss": np.arange(20.0), "accuracy": np.zeros(20)}, epochs=2)
    x, y = curves._lines["loss", "training"].get_data()
    assert np.array_equal(x, at)
    assert y[0] == 0
    assert y[-1] == pytest.approx(np.mean(np.arange(20.0)[-5:]))


def test_an_epoch_that_was_cut_off_ends_where_it_was():
    curves = LearningCurves(Figure())
    curves.show(some_history(3), epochs=8, until=2.25)
    for name in ("training", "validation"):
        assert curves._lines["accuracy", name].get_xdata().tolist() == [1, 2, 2.25]


def test_long_trainings_are_drawn_from_few_points_and_to_the_end():
    curves = LearningCurves(Figure())
    at = np.arange(1, 10_001) / 500
    curves.show({}, steps={"epoch": at, "loss": at, "accuracy": at / 20}, epochs=20)
    x, _ = curves._lines["loss", "training"].get_data()
    assert 300 < len(x) <= 600
    assert x[-1] == 20


def test_each_batch_counts_by_itself_though_progress_tells_means(sets, tmp_path):
    job = bench_job.Job(*sets, config=replace(BENCH_CONFIG, batch_size=10), runs=Runs(tmp_path))
    job.n_clips = 25
    losses, counts = [3.0, 2.0, 1.0], [10, 10, 5]
    for epoch in (1, 2):
        for i in range(3):
            mean = np.dot(losses[: i + 1], counts[: i + 1]) / sum(counts[: i + 1])
            history = {"loss": [1.0] * (epoch - 1)}
            now = Progress(epoch, 2, i + 1, 3, mean, mean / 10, None, None, 0.0, None, 0.0, history)
            job._batch_done(now)
        job._batch_done(replace(now, history={"loss": [1.0] * epoch}))  # once more after the validation
    assert job.steps["loss"] == pytest.approx(losses * 2)
    assert job.steps["epoch"] == pytest.approx(np.arange(1, 7) / 3)


def test_runs_are_compared_by_their_best_epoch_and_the_best_stands_out():
    histories = {f"run {i}": {"val_accuracy": [0.1, 0.2 + 0.1 * i, 0.15]} for i in range(6)}
    ax = plots.compare_runs(histories)
    described = plots.alt_text(ax)
    assert "of 6 runs" in described
    assert "Best is run 5 with 70.0 %, then run 4 with 60.0 %" in described
    widest = max(ax.lines, key=lambda line: line.get_linewidth())
    assert widest.get_label() == "run 5"
    texts = [text.get_text() for text in ax.texts]
    assert "★ run 5" in texts
    assert "and 2 more" in texts


def test_a_loss_is_best_where_it_is_smallest():
    described = plots.alt_text(plots.compare_runs({"a": {"val_loss": [2, 1]}, "b": {"val_loss": [0.5, 3]}},
                                                  metric="val_loss"))  # fmt: skip
    assert "Best is b with 0.5, then a with 1" in described


def test_runs_without_an_epoch_are_left_out_and_none_at_all_is_refused():
    ax = plots.compare_runs({"a": {"val_accuracy": [0.5]}, "failed": {}})
    assert "1 run over its epochs" in plots.alt_text(ax)
    with pytest.raises(ValueError, match="No run has an epoch of 'val_accuracy'"):
        plots.compare_runs({"failed": {}})
    with pytest.raises(ValueError, match="no epoch under 'loss'"):
        plots.learning_curves({})


def test_the_runs_of_a_folder_can_be_compared(trained):
    assert "3 runs over their epochs" in plots.alt_text(plots.compare_runs(trained.runs))
