"""The training bench of lesson 6: choose features, network and training, press Train, watch, compare.

A training runs in a thread of its own (`bench_job`), and a second thread draws it: the kernel stays free for
cells and for other widgets. TensorFlow is loaded when the first training begins. What can be chosen stands in
`bench_settings`, how it looks in `bench_view`, the table of runs in `bench_table`.
"""

from __future__ import annotations

import base64
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets
from IPython.display import display

from asrlib import models, training
from asrlib.datasets import SpeechDataset
from asrlib.plots.common import LOOKS, look
from asrlib.plots.training import LearningCurves
from asrlib.recognizer import Recognizer
from asrlib.training import Run, Runs, TrainingConfig, TrainingResult
from asrlib.widgets import bench_job
from asrlib.widgets.bench_job import Job
from asrlib.widgets.bench_settings import (
    BENCH_CONFIG,
    SETTINGS,
    Setting,
    applied,
    problems,
    read,
    settings_for,
)
from asrlib.widgets.bench_table import best_of, runs_table, thousands
from asrlib.widgets.bench_view import BenchView, Row
from asrlib.widgets.picture import Picture, encode_png

__all__ = ["TrainingBench", "bench_run"]

_SIZE, _DPI = (8.4, 2.6), 100
# The picture takes at most this share of one core, and the eye gets at most four pictures a second.
_LEAST_PAUSE = 0.25
_PAUSE_PER_DRAWING = 12.0


def bench_run(
    train_set: SpeechDataset,
    validation: SpeechDataset,
    *,
    runs: Runs | None = None,
    config: TrainingConfig | None = None,
    max_seconds: float | None = None,
    watch: Callable[[training.Progress], None] | None = None,
    stop: threading.Event | None = None,
    **settings: Any,
) -> TrainingResult:
    """Do what the bench's Train button does, without widgets and in the calling thread.

    Parameters
    ----------
    train_set, validation : SpeechDataset
        Recordings to learn from, and recordings of other speakers to judge by.
    runs : Runs, optional
        Where the run is kept; left out, in the folder "runs".
    config : TrainingConfig, optional
        What holds where no setting says otherwise; left out, the bench's own start.
    max_seconds : float, optional
        The training is stopped after this time.
    watch : callable, optional
        Called after every batch with a `asrlib.training.Progress`.
    stop : threading.Event, optional
        Set it from another thread to stop after the batch under way.
    **settings
        Any of the bench's settings, such as ``model="rnn"``, ``units=32``, ``epochs=3``, ``clips=400``.

    Returns
    -------
    TrainingResult

    Raises
    ------
    ValueError
        When a setting is unknown or cannot work; the message names each.

    Examples
    --------
    >>> from asrlib import datasets
    >>> train_set, validation = datasets.digits("train"), datasets.digits("validation")
    >>> bench_run(train_set, validation, learning_rate=0.0)
    Traceback (most recent call last):
        ...
    ValueError: learning_rate: ...
    >>> result = bench_run(train_set, validation, model="article_cnn", epochs=2)  # doctest: +SKIP

    Lesson: 06
    """
    config = BENCH_CONFIG if config is None else config
    _refuse_problems(problems(settings, config=config))
    job = Job(
        train_set,
        validation,
        config=TrainingConfig.from_dict(applied(settings, config=config)),
        clips=settings.get("clips"),
        runs=Runs() if runs is None else runs,
        max_seconds=max_seconds,
        watch=watch,
        stop=stop,
    )
    job.work()
    if job.error is not None:
        raise job.error
    if job.result is None:
        raise RuntimeError("The training was stopped before it began, so there is no result.")
    return job.result


class TrainingBench:
    """Sliders for features, network and training; Train and Stop; curves while it learns; a table of runs.

    The last line of a cell shows it. A training runs in a thread: cells and other widgets go on meanwhile.
    Turning a control during a training changes the next one, not the one under way.

    Parameters
    ----------
    train_set, validation : SpeechDataset
        Recordings to learn from, and recordings of other speakers to judge by.
    runs : Runs, optional
        Where runs are kept; left out, in the folder "runs". A bench that is made while a training for the
        same folder is under way, as when its cell is run again, follows that training.
    config : TrainingConfig, optional
        What no control shows, such as the window, comes from here, and so do the values at the start.
    max_epochs : int
        The end of the epochs' slider.
    max_seconds : float
        A training is stopped after this time.
    **settings
        Values of controls at the start.

    Examples
    --------
    >>> from asrlib import datasets
    >>> bench = TrainingBench(datasets.digits("train"), datasets.digits("validation"), model="rnn")
    >>> bench.values["units"], bench.state
    (48, 'idle')
    >>> bench.set(learning_rate=0.0)
    >>> list(bench.problems)
    ['learning_rate']
    >>> bench.train(learning_rate=0.001, epochs=2)  # doctest: +SKIP
    >>> bench.wait().recognizer  # doctest: +SKIP

    Lesson: 06
    """

    def __init__(
        self,
        train_set: SpeechDataset,
        validation: SpeechDataset,
        *,
        runs: Runs | None = None,
        config: TrainingConfig | None = None,
        max_epochs: int = 30,
        max_seconds: float = 600.0,
        **settings: Any,
    ) -> None:
        self.train_set, self.validation = train_set, validation
        self.max_seconds = max_seconds
        self._runs = Runs() if runs is None else runs
        self._first_config = self._config = BENCH_CONFIG if config is None else config
        # JupyterLab lets the kernel answer widgets in another thread than cells, and two threads train here.
        self._lock = threading.RLock()
        self._held = False
        self._job: Job | None = None
        self._settled = threading.Event()
        self._settled.set()
        self._result: TrainingResult | None = None
        self._recognizer: Recognizer | None = None
        self._error: BaseException | None = None
        self._picture: Picture | None = None
        self._curves: LearningCurves | None = None
        self._shown: dict[str, Any] = {"history": {}}
        self._theme = look()
        self._loaded: Any = None
        self._chance = 1 / max(1, len(set(map(str, train_set.labels))))
        self._controls = self._make_controls(max_epochs)
        self._view: BenchView | None = None
        self.set(**settings)
        self._start = {setting: setting.value(control) for setting, control in self._controls.items()}
        self._adopt()

    # -- what a lesson uses ----------------------------------------------------------------------------------

    runs = property(lambda self: self._runs, doc="The table of all runs, on disk.")
    result = property(lambda self: self._result, doc="The result of the last training, or None.")
    recognizer = property(lambda self: self._recognizer, doc="What was trained or loaded last, or None.")
    error = property(lambda self: self._error, doc="What went wrong last, as it is shown, or None.")

    @property
    def state(self) -> str:
        """ "idle", "waiting" (for another training), "loading" (TensorFlow), "training" or "stopping"."""
        if self._settled.is_set() or self._job is None:
            return "idle"
        return "stopping" if self._job.done else self._job.state

    @property
    def inputs(self) -> dict[str, ipywidgets.ValueWidget]:
        """The controls that are shown, by the settings' names."""
        return {name: self._controls[setting] for name, setting in self._settings.items()}

    @property
    def values(self) -> dict[str, Any]:
        """The values of the controls that are shown, by the settings' names."""
        return {name: setting.value(self._controls[setting]) for name, setting in self._settings.items()}

    @property
    def problems(self) -> dict[str, str]:
        """What cannot work, by the setting that is to be changed; empty when all is well."""
        return problems(self.values, config=self._config)

    @property
    def config(self) -> TrainingConfig:
        """The configuration that Train would use.

        Raises
        ------
        ValueError
            When it cannot work.
        """
        _refuse_problems(self.problems)
        return TrainingConfig.from_dict(applied(self.values, config=self._config))

    def set(self, **settings: Any) -> None:
        """Turn controls from Python, as a hand would.

        Parameters
        ----------
        **settings
            New values by the settings' names; ``model`` first chooses the family.

        Raises
        ------
        ValueError
            When the chosen family has no setting of that name.
        """
        known = settings_for(settings.get("model", self._family))
        applied(settings | {"model": settings.get("model", self._family)}, config=self._config)  # names
        with self._lock, self._hold():
            for name in sorted(settings, key=lambda name: name != "model"):
                known[name].turn(self._controls[known[name]], settings[name])

    def train(self, **settings: Any) -> None:
        """Press Train, with some settings changed; return at once. While it trains, nothing happens.

        Parameters
        ----------
        **settings
            As for `set`.

        Raises
        ------
        ValueError
            When a setting is unknown or cannot work.
        """
        if settings:
            self.set(**settings)
        with self._lock:
            if self.state != "idle":
                self._say("It is training already. Press Stop first, or wait until it is done.")
                return
            job = Job(
                self.train_set,
                self.validation,
                config=self.config,
                clips=self.values["clips"],
                runs=self.runs,
                max_seconds=self.max_seconds,
            )
            bench_job.start(job)
            self._follow(job)

    def stop(self) -> None:
        """Press Stop: the training ends after the batch under way, and what it has learned is kept."""
        job = self._job
        if job is not None and self.state != "idle":
            job.stop()

    def wait(self, seconds: float | None = None) -> TrainingResult | None:
        """Wait until the training under way is done.

        Parameters
        ----------
        seconds : float, optional
            The longest to wait; for ever when left out.

        Returns
        -------
        TrainingResult or None
            Its result; None when it was stopped before it began, or when there was none.

        Raises
        ------
        TimeoutError
            When it is not done by then. It goes on.
        Exception
            What the training raised.
        """
        if not self._settled.wait(seconds):
            raise TimeoutError(f"The training is not done after {seconds:g} s; bench.stop() ends it.")
        if self._job is not None and self._job.error is not None:
            raise self._job.error
        return self._result

    def load(self, run: Run | Any = None) -> None:
        """Set the controls to a run's settings, show its curves, and take its recogniser.

        Parameters
        ----------
        run : Run or id, optional
            Which; the best one when left out.

        Raises
        ------
        ValueError
            When there is no such run.
        """
        run = self._find(run)
        config = run.train_config()
        with self._lock:
            self._config = config
            self.set(**read(config), clips=run.n_train)
            self._loaded = run.id
            said = f"Run {run.id} is loaded: its settings are in the controls"
            if run.status in ("finished", "stopped"):
                self._recognizer = run.recognizer()
                said += ", its network is bench.recognizer"
            else:
                said += f"; it is {run.status} and left no network"
            if self.state == "idle":
                self._show_curves(history=run.history, best=self._best_history(other_than=run.id))
            self._show_runs()
            self._say(f"{said}.")

    def show(self) -> None:
        """Display the bench from within a loop or a function; a cell's last line displays it by itself."""
        display(self)

    @property
    def widget(self) -> BenchView:
        """The bench as a widget, made on first use."""
        with self._lock:
            if self._view is None:
                self._view = self._make_view()
                self._settings_changed()
                self._show_runs()
                self._redraw()
                job = self._job
                if job is None or self._settled.is_set():
                    self._view.tell("Turn the knobs, then press Train.", share=0.0)
                else:
                    self._show_job(job)
            return self._view

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Show the widget, and the curves wherever a stored notebook is read without a kernel."""
        bundle = dict(self.widget._repr_mimebundle_(**options))
        bundle["text/plain"] = "Training bench: settings, Train and Stop, curves, and the table of all runs."
        bundle["image/png"] = base64.b64encode(self.widget.image.value).decode()
        return bundle

    # -- the controls ----------------------------------------------------------------------------------------

    @property
    def _family(self) -> str:
        return self._controls[settings_for("crnn")["model"]].value

    @property
    def _settings(self) -> dict[str, Setting]:
        """The settings that the chosen family has, by name."""
        return settings_for(self._family)

    def _make_controls(self, max_epochs: int) -> dict[Setting, ipywidgets.ValueWidget]:
        """Make the control of every setting, those of the other families too."""
        start = {"clips": len(self.train_set) if len(self.train_set) < 1000 else 800}
        controls = {}
        for setting in SETTINGS:
            values = (
                read(self._config) if setting.family is None else _read_family(setting.family, self._config)
            )
            bound = _bound(setting, n_clips=len(self.train_set), max_epochs=max_epochs)
            controls[setting] = bound.control({**values, **start}[setting.name])
        return controls

    def _make_view(self) -> BenchView:
        self._rows = {setting: Row.of(control) for setting, control in self._controls.items()}
        parts: dict[str, list[Row]] = {"features": [], "model": [], "training": []}
        for setting, row in self._rows.items():
            # Beside the features there is room, and both are about what is learned from.
            part = "features" if setting.name in ("augmentation", "clips") else setting.part
            parts[part].append(row)
        for control in self._controls.values():
            control.observe(self._control_moved, names="value")
        return BenchView(
            parts,
            on_train=self._train_pressed,
            on_stop=self._stop_pressed,
            on_reset=self._reset_pressed,
            on_load=self._load_pressed,
            on_theme=self._theme_changed,
        )

    @contextlib.contextmanager
    def _hold(self) -> Iterator[None]:
        """Look at the controls once, after all of them have been turned."""
        outer, self._held = self._held, True
        try:
            yield
        finally:
            self._held = outer
        if not outer:
            self._settings_changed()

    def _control_moved(self, _: Mapping[str, Any]) -> None:
        with self._lock:
            if not self._held:
                self._settings_changed()

    def _settings_changed(self) -> None:
        """Show the controls of the chosen family, and beside each what cannot work."""
        if self._view is None:
            return
        mine = set(self._settings.values())
        found = self.problems
        for setting, row in self._rows.items():
            visible = setting in mine and (setting.name != "n_mfcc" or self.values["kind"] == "mfcc")
            row.show(visible)
            row.say(found.get(setting.name, "") if setting in mine else "")
        self._view.show_problem(found.get("", ""))
        self._view.say_facts("" if found else self._facts())

    def _facts(self) -> str:
        """Say how large the chosen network is and how much it is to do."""
        config = TrainingConfig.from_dict(applied(self.values, config=self._config))
        shape = (config.n_frames, config.features.n_coefficients)
        n_classes = len(set(map(str, self.train_set.labels)))
        size = models.count_parameters(config.model, input_shape=shape, n_classes=n_classes)
        batches = -(-min(self.values["clips"], len(self.train_set)) // config.batch_size)
        return f"{thousands(size)} parameters · {batches} batch{'es' if batches != 1 else ''}/epoch"

    # -- the buttons -----------------------------------------------------------------------------------------

    def _train_pressed(self) -> None:
        with self._lock:
            found = self.problems
            if found and self.state == "idle":
                settings = self._settings
                names = [settings[name].label for name in found if name]
                cannot = " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "a setting"
                self._say(f"Not begun: {cannot} cannot work like this. The reason stands beside the control.")
                return
            with self._failing_in_words("The training could not begin."):
                self.train()

    def _stop_pressed(self) -> None:
        if self.state == "idle":
            self._say("Nothing is being trained.")
        else:
            self.stop()
            with self._lock:
                if self._job is not None and not self._job.done:
                    self._show_job(self._job)

    def _reset_pressed(self) -> None:
        with self._failing_in_words("The controls could not be put back."), self._lock:
            self._config, self._loaded = self._first_config, None
            with self._hold():
                for setting, value in self._start.items():
                    setting.turn(self._controls[setting], value)
            self._show_runs()

    def _load_pressed(self, run: Any) -> None:
        with self._failing_in_words("The run could not be loaded."):
            self.load(run)

    def _theme_changed(self, theme: str) -> None:
        with self._lock:
            if theme in LOOKS and LOOKS[theme] != self._theme:
                self._theme = LOOKS[theme]
                self._picture = None
                self._redraw()

    @contextlib.contextmanager
    def _failing_in_words(self, what: str) -> Iterator[None]:
        """Show an error on the bench: those of a button would go to a log that nobody reads."""
        self._view.show_trouble(None)
        try:
            yield
        except Exception as error:
            self._error = error
            self._view.show_trouble(error, what=what)

    # -- what goes on ----------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        """Follow a training for the same folder that another bench began, such as this cell's last one."""
        for job in bench_job.under_way():
            if _folder(job.runs) == _folder(self.runs):
                self._follow(job)
                return

    def _follow(self, job: Job) -> None:
        with self._lock:
            self._job = job
            self._settled.clear()
            self._result, self._error = None, None
            self._shown = {"history": {}, "epochs": job.config.epochs, "best": self._best_history()}
            # Before anything is drawn, which may fail: it is this thread that sees to the end of the job.
            threading.Thread(target=self._paint, args=(job,), name="training bench", daemon=True).start()
            if self._view is not None:
                self._view.show_trouble(None)
                self._say("")
                self._redraw()  # the last run's curves would pass for this one's
                self._show_job(job)

    def _paint(self, job: Job) -> None:
        """Show the job until it is done: what comes faster than it can be drawn is passed over."""
        version, listed = -1, False
        trouble: Exception | None = None
        try:
            while not job.done:
                version = job.wait_for_news(version, seconds=5.0)
                began = time.thread_time()
                with self._lock:
                    if self._view is not None:
                        self._show_job(job)
                        if not listed and job.progress is not None:  # by now the run has its place on disk
                            self._show_runs()
                            listed = True
                pause = max(_LEAST_PAUSE, _PAUSE_PER_DRAWING * (time.thread_time() - began))
                self._pause(job, pause)
        except Exception as error:  # of a drawing, which is no reason to lose the result
            trouble = error
        while not job.done:
            job.wait_for_news(job.version, seconds=1.0)
        self._finish(job, trouble)

    def _pause(self, job: Job, seconds: float) -> None:
        """Wait, but not beyond the end of the job or the press of a button."""
        deadline, state = time.monotonic() + seconds, job.state
        version = job.version
        while not job.done and job.state == state and (left := deadline - time.monotonic()) > 0:
            version = job.wait_for_news(version, seconds=left)

    def _finish(self, job: Job, trouble: Exception | None) -> None:
        with self._lock:
            try:
                self._result, self._error = job.result, job.error or trouble
                if job.result is not None:
                    self._recognizer = job.result.recognizer
                    self._loaded = None
                if self._view is not None:
                    self._show_end(job)
                    if trouble is not None:
                        self._view.show_trouble(trouble, what="The curves could not be drawn.")
            except Exception as error:
                self._error = self._error or error
            finally:
                self._settled.set()

    # -- what is seen ----------------------------------------------------------------------------------------

    def _show_job(self, job: Job) -> None:
        progress, steps = job.snapshot()
        self._view.switch(running=True)
        share = None if progress is None else _share(progress)
        self._view.tell(_status(job.state, progress), share=share, style="")
        if progress is not None:
            self._show_curves(
                history={name: list(values) for name, values in progress.history.items()},
                steps=steps, epochs=job.config.epochs, best=self._shown.get("best"),
            )  # fmt: skip

    def _show_end(self, job: Job) -> None:
        self._view.switch(running=False)
        self._show_runs()
        _, steps = job.snapshot()
        if job.error is not None:
            self._view.tell("It ended with an error.", style="danger")
            self._view.show_trouble(job.error, what="The training failed.")
            return
        if job.result is None:
            self._view.tell("Stopped before the training began.", share=0.0)
            return
        stopped = job.result.stopped
        until = steps["epoch"][-1] if stopped and steps["epoch"] else None
        self._show_curves(
            history=job.result.history, steps=steps, epochs=job.config.epochs,
            best=self._shown.get("best"), until=until,
        )  # fmt: skip
        share = until / job.config.epochs if until is not None else 1.0
        self._view.tell(
            "Stopped." if stopped else "Done.", share=share, style="warning" if stopped else "success"
        )
        self._say(self._verdict(job))

    def _verdict(self, job: Job) -> str:
        """Say what the training reached, and how that compares."""
        result, run = job.result, job.result.run
        name = f"Run {run.id}" if run is not None else "The training"
        accuracies = result.history.get("val_accuracy", ())
        if not len(accuracies):
            return f"{name} was stopped before its first epoch was over."
        epochs = f"{len(accuracies)} epoch{'s' if len(accuracies) != 1 else ''}"
        reached = accuracies[result.epoch - 1] if 0 < result.epoch <= len(accuracies) else accuracies[-1]
        said = f"{name} gets {100 * reached:.1f} % of the validation clips right, after {epochs}"
        if job.took_too_long:
            said += f", stopped at the bench's limit of {job.max_seconds:g} s"
        elif result.stopped:
            said += ", stopped"
        best = self._best()
        if best is None or run is None or len(self.runs) < 2:
            return f"{said}."
        if best.id == run.id:
            return f"{said}. That is the best run so far."
        if best.accuracy == run.accuracy:
            return f"{said}: as many as run {best.id}, the best so far."
        return f"{said}. The best is run {best.id} with {100 * best.accuracy:.1f} %."

    def _say(self, text: str) -> None:
        if self._view is not None:
            self._view.say(text)

    def _show_curves(self, **shown: Any) -> None:
        self._shown = shown
        self._redraw()

    def _redraw(self) -> None:
        """Draw what is to be seen; the picture is made on first use, and anew for another theme."""
        if self._view is None:
            return
        if self._picture is None:
            self._picture = Picture(_SIZE, dpi=_DPI)
            self._curves = LearningCurves(self._picture.figure, chance=self._chance, theme=self._theme)
            self._picture.let_move(self._curves.moving)
        self._curves.show(
            self._shown["history"], steps=self._shown.get("steps"),
            epochs=self._shown.get("epochs", None if self._shown["history"] else self.values["epochs"]),
            best=self._shown.get("best"), until=self._shown.get("until"),
        )  # fmt: skip
        self._view.image.value = encode_png(self._picture.pixels())

    # -- the runs --------------------------------------------------------------------------------------------

    def _find(self, run: Run | Any) -> Run:
        if run is None:
            best = self._best()
            if best is None:
                raise ValueError("There is no run yet. Press Train first.")
            return best
        if isinstance(run, Run):
            return run
        for known in self.runs:
            if known.id == run:
                return known
        raise ValueError(f"There is no run {run!r} in {_folder(self.runs)}; it may have been deleted.")

    def _best(self) -> Run | None:
        return best_of(self.runs)

    def _best_history(self, *, other_than: Any = None) -> Mapping[str, Any] | None:
        best = best_of(run for run in self.runs if run.id != other_than)
        return None if best is None else best.history

    def _show_runs(self) -> None:
        if self._view is not None:
            self._view.show_runs(runs_table(self.runs, loaded=self._loaded))


# -- small things --------------------------------------------------------------------------------------------


def _folder(runs: Runs) -> Path:
    return Path(runs.folder).resolve()


def _refuse_problems(found: Mapping[str, str]) -> None:
    if found:
        raise ValueError(
            " ".join(f"{name}: {message}" if name else message for name, message in found.items())
        )


def _read_family(family: str, config: TrainingConfig) -> dict[str, Any]:
    """Return the sizes that a family begins with."""
    return read(TrainingConfig.from_dict(applied({"model": family}, config=config)))


def _bound(setting: Setting, *, n_clips: int, max_epochs: int) -> Setting:
    """Fit a setting's range to the data and to the bench."""
    if setting.name == "clips":
        return replace(setting, among=tuple(sorted({*(n for n in setting.among if n < n_clips), n_clips})))
    if setting.name == "epochs":
        return replace(setting, limits=(1, max_epochs))
    return setting


def _share(progress: training.Progress) -> float:
    done = progress.epoch - 1 + progress.batch / max(1, progress.batches)
    return min(1.0, max(0.0, done / max(1, progress.epochs)))


def _status(state: str, progress: training.Progress | None) -> str:
    """Say in a line what goes on."""
    if state == "waiting":
        return "Another training in this notebook comes first; this one waits for it."
    if state == "loading":
        return "Loading TensorFlow; this takes some seconds, once."
    if state == "stopping":
        return "Stopping after the batch under way."
    if progress is None:
        return "Preparing the clips and the network."
    if not math.isfinite(progress.loss):
        return "The loss is no longer a number: the steps are too large. Stop, and lower the learning rate."
    return (
        f"epoch {progress.epoch} of {progress.epochs}, batch {progress.batch} of {progress.batches}\n"
        f"{_time_left(progress.seconds_left)}{100 * progress.waiting:.0f} % of the time waiting for clips"
    )


def _time_left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds / 60:.0f} min left · " if seconds >= 90 else f"{seconds:.0f} s left · "
