"""The settings of the training bench: what each control is called, what it changes, what it may be.

No widget is made before `Setting.control` is called, and no network is built here: a setting is a name, a
place in a `asrlib.training.TrainingConfig`, and a range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets
import numpy as np

from asrlib import training
from asrlib.augment import Augmentation
from asrlib.datasets import SpeechDataset
from asrlib.models import FAMILIES
from asrlib.training import TrainingConfig
from asrlib.widgets.controls import value_of

__all__ = ["BENCH_CONFIG", "SETTINGS", "Setting", "applied", "problems", "read", "settings_for", "some_of"]

BENCH_CONFIG = TrainingConfig(epochs=8, label_smoothing=0.0, random_place=False, augmentation=None)
"""Where the bench begins: nothing is disturbed or smoothed, so that whatever is added shows its effect."""

_CLIPS = (100, 200, 400, 800, 1600, 3200, 6400, 12_800)
_SUBSET_SEED = 0  # the same clips for the same number, so that runs can be compared


def _plain(value: float) -> str:
    """Write 0.00001 for 1e-05."""
    return f"{value:.10f}".rstrip("0").rstrip(".") if value % 1 else f"{value:g}"


def _size(value: Any) -> tuple[int, Any]:
    """Order tuples by their length, numbers by themselves."""
    return (len(value) if isinstance(value, tuple) else 0), value


def _dots(values: Sequence[int]) -> str:
    return " · ".join(map(str, values))


@dataclass(frozen=True, eq=False)
class Setting:
    """One thing that the bench lets learners choose.

    Parameters
    ----------
    name : str
        As Python calls it.
    path : str
        Its place in a training configuration, such as "model.units".
    label : str
        What stands beside the control.
    among : tuple, optional
        The values to choose from, in order: as a slider, or as a list when `words` names them.
    words : mapping, optional
        How the values of a list are called.
    limits : (int, int), optional
        The ends of a slider over whole numbers.
    share : bool
        Whether it is a share from 0 to 1.
    write : callable
        Writes one of the values `among`.
    off : object
        The value that stands for None.
    family : str, optional
        The only family of networks that has it.

    With none of `among`, `limits` and `share` it is a switch.

    Examples
    --------
    >>> epochs = next(setting for setting in SETTINGS if setting.name == "epochs")
    >>> epochs.label, epochs.path
    ('epochs', 'epochs')

    Lesson: 06
    """

    name: str
    path: str
    label: str
    among: tuple[Any, ...] = ()
    words: Mapping[Any, str] | None = None
    limits: tuple[int, int] | None = None
    share: bool = False
    write: Callable[[Any], str] = _plain
    off: Any = None
    family: str | None = None

    @property
    def part(self) -> str:
        """Where the control stands: "features", "model" or "training"."""
        return self.path.split(".")[0] if "." in self.path else "training"

    def control(self, value: Any) -> ipywidgets.ValueWidget:
        """Make the control, at this value."""
        value = self.off if value is None else value
        look = {"description": self.label, "style": {"description_width": "98px"}}
        if self.words is not None:
            options = [(text, key) for key, text in self.words.items()]
            return ipywidgets.Dropdown(options=options, value=value, **look)
        if self.among:
            return ipywidgets.SelectionSlider(options=self._options(value), value=value, **look)
        if self.limits:
            low, high = min(self.limits[0], value), max(self.limits[1], value)
            return ipywidgets.IntSlider(value=value, min=low, max=high, **look)
        if self.share:
            slider = ipywidgets.FloatSlider
            return slider(value=value, min=0.0, max=1.0, step=0.05, readout_format=".2f", **look)
        # A switch says its name after the box; the empty description keeps it in line with the sliders.
        return ipywidgets.Checkbox(value=bool(value), description=self.label, style=look["style"])

    def turn(self, control: ipywidgets.ValueWidget, value: Any) -> None:
        """Set the control; make room for a value that it did not offer."""
        value = self.off if value is None else value
        if self.among and self.words is None:
            if value not in [known for _, known in control.options]:
                control.options = self._options(value)
        elif self.words is not None and value not in self.words:
            control.options = [*control.options, (str(value), value)]
        elif self.limits:
            control.min, control.max = min(control.min, value), max(control.max, value)
        control.value = value

    def value(self, control: ipywidgets.ValueWidget) -> Any:
        """Return what the control says, as a configuration wants it."""
        value = value_of(control)
        return None if self.off is not None and value == self.off else value

    def written(self, value: Any) -> str:
        """Write a value as the control does."""
        value = self.off if value is None else value
        if self.words is not None:
            return self.words.get(value, str(value))
        if self.among:
            return self.write(value)
        if self.limits or self.share:
            return _plain(value)
        return "on" if value else "off"

    def _options(self, value: Any) -> list[tuple[str, Any]]:
        return [(self.write(choice), choice) for choice in sorted({*self.among, value}, key=_size)]


def _square(kernel: Sequence[int]) -> str:
    return " × ".join(map(str, kernel))


def _of(family: str, settings: Iterable[Setting]) -> list[Setting]:
    return [replace(setting, path=f"model.{setting.path}", family=family) for setting in settings]


_DROPOUT = Setting("dropout", "dropout", "dropout", share=True)
_CHANNELS = (
    (8,),
    (16,),
    (8, 16),
    (16, 32),
    (32, 64),
    (16, 32, 48),
    (32, 64, 96),
    (16, 32, 48, 64),
    (8, 16, 16, 32, 32, 48, 48),
)
_UNITS = (4, 8, 16, 24, 32, 48, 64, 96, 128, 256)
_KERNELS = ((1, 1), (3, 3), (5, 5), (7, 7), (9, 9), (15, 15))
_HEADS = {
    "max": "largest value",
    "average": "mean over time",
    "last": "last step",
    "attention": "attention",
}

SETTINGS: tuple[Setting, ...] = (
    Setting("kind", "features.kind", "kind", words={"log_mel": "log-mel bands", "mfcc": "MFCC"}),
    Setting("n_mels", "features.n_mels", "mel bands", limits=(4, 100)),
    Setting("n_mfcc", "features.n_mfcc", "coefficients", limits=(4, 40)),
    Setting("f_max", "features.f_max", "up to", among=(500.0, 1000.0, 2000.0, 3000.0, 4000.0, 6000.0, 8000.0,
            9000.0), write=lambda hz: f"{hz:g} Hz"),
    Setting("normalization", "features.normalization", "subtract", words={
            "none": "nothing", "level": "level of the clip", "mean": "mean of the clip",
            "both": "both, side by side", "utterance": "mean, ÷ deviation"}),
    Setting("model", "model.family", "family", words={
            "softmax": "softmax regression", "article_cnn": "the article's CNN", "cnn": "CNN", "rnn": "RNN",
            "crnn": "CRNN"}),
    *_of("article_cnn", [
        Setting("filters", "filters", "filters", among=(4, 8, 16, 32, 64, 128)),
        Setting("kernel_size", "kernel_size", "kernel", among=(1, 3, 5, 7, 9, 15, 25, 51, 101, 151),
                write=lambda frames: f"{frames} frame{'s' if frames > 1 else ''}"),
        Setting("pool", "pool", "pooling", among=(1, 2, 3, 4, 8, 16, 32), write=lambda step: f"{step} → 1"),
        Setting("units", "units", "dense units", among=(8, 16, 32, 64, 128, 256, 512)),
        Setting("conv_dropout", "conv_dropout", "conv dropout", share=True),
        replace(_DROPOUT, label="dense dropout"),
    ]),
    *_of("cnn", [
        Setting("channels", "channels", "filters", among=_CHANNELS, write=_dots),
        Setting("kernel_size", "kernel_size", "kernel", among=_KERNELS, write=_square),
        Setting("head", "head", "at the end", words={key: _HEADS[key] for key in ("max", "average")}),
        _DROPOUT,
    ]),
    *_of("rnn", [
        Setting("cell", "cell", "cell", words={"simple": "simple", "gru": "GRU", "lstm": "LSTM"}),
        Setting("units", "units", "units", among=_UNITS),
        Setting("layers", "layers", "layers", limits=(1, 4)),
        Setting("bidirectional", "bidirectional", "both directions"),
        Setting("head", "head", "at the end", words={key: _HEADS[key] for key in ("max", "last")}),
        _DROPOUT,
    ]),
    *_of("crnn", [
        Setting("conv_channels", "conv_channels", "filters", among=_CHANNELS, write=_dots),
        Setting("kernel_size", "kernel_size", "kernel", among=_KERNELS, write=_square),
        Setting("gru_units", "gru_units", "GRU units", among=_UNITS),
        Setting("bidirectional", "bidirectional", "both directions"),
        Setting("head", "head", "at the end", words={
            key: _HEADS[key] for key in ("max", "last", "attention")}),
        _DROPOUT,
    ]),
    Setting("optimizer", "optimizer", "optimiser", words={
            "sgd": "SGD", "momentum": "SGD, momentum", "nesterov": "SGD, Nesterov", "rmsprop": "RMSProp",
            "adam": "Adam", "adamw": "AdamW"}),
    Setting("learning_rate", "learning_rate", "learning rate", among=(
            0.0, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)),
    Setting("schedule", "schedule", "schedule", words={
            "constant": "constant", "cosine": "cosine", "steps": "in steps", "exponential": "exponential"}),
    Setting("batch_size", "batch_size", "batch size", among=(1, 4, 8, 16, 32, 64, 128, 256, 512)),
    Setting("epochs", "epochs", "epochs", limits=(1, 30)),
    Setting("early_stopping", "early_stopping", "early stop", among=(0, 1, 2, 3, 5, 8), off=0,
            write=lambda epochs: f"after {epochs}" if epochs else "never"),
    Setting("weight_decay", "weight_decay", "weight decay", among=(0.0, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2,
            0.1, 0.3)),
    Setting("seed", "seed", "seed", limits=(0, 20)),
    Setting("clips", "clips", "training clips", among=_CLIPS),
    Setting("augmentation", "augmentation", "augmentation"),
)  # fmt: skip
"""All settings, in the order of their controls. Families share names, such as "units", not controls."""


def settings_for(family: str) -> dict[str, Setting]:
    """Return the settings that a family of networks has, by name.

    Examples
    --------
    >>> "cell" in settings_for("rnn"), "cell" in settings_for("cnn")
    (True, False)

    Lesson: 06
    """
    return {setting.name: setting for setting in SETTINGS if setting.family in (None, family)}


def read(config: TrainingConfig) -> dict[str, Any]:
    """Return the settings of a configuration by name; "clips" is none of its settings.

    Examples
    --------
    >>> read(BENCH_CONFIG)["epochs"]
    8

    Lesson: 06
    """
    values = _flat(config)
    found = {}
    for name, setting in settings_for(config.model.family).items():
        if setting.path in values:
            found[name] = values[setting.path]
    found["augmentation"] = config.augmentation is not None
    if found["f_max"] is None:
        found["f_max"] = config.features.sample_rate / 2
    return found


def applied(settings: Mapping[str, Any], *, config: TrainingConfig) -> dict[str, Any]:
    """Change a configuration, and give it as nested plain values: they may be values that cannot work.

    Parameters
    ----------
    settings : mapping of str to object
        By name; "clips" is left aside. A setting of another family is refused.
    config : TrainingConfig
        What holds where no setting says otherwise. Of another family than its own, the model's sizes are
        that family's usual ones.

    Returns
    -------
    dict
        What `TrainingConfig.from_dict` takes, if it can.

    Raises
    ------
    ValueError
        When there is no setting of that name.

    Examples
    --------
    >>> applied({"model": "rnn", "units": 8}, config=BENCH_CONFIG)["model"]["units"]
    8

    Lesson: 06
    """
    family = settings.get("model", config.model.family)
    known = settings_for(family)
    _refuse_unknown(settings, known, family)
    values = _nested(config)
    if family != config.model.family:
        values["model"] = _usual(family).to_dict()
    for name, value in settings.items():
        if name in ("clips", "augmentation"):
            continue
        part, _, field = known[name].path.rpartition(".")
        (values[part] if part else values)[field] = value
    features = values["features"]
    if features["kind"] != "mfcc":  # then the number of coefficients has no meaning, and cannot be too large
        features["n_mfcc"] = min(features["n_mfcc"], features["n_mels"])
    if "pools" in values["model"]:
        values["model"]["pools"] = _pools(values["model"])
    augmented = settings.get("augmentation", config.augmentation is not None)
    if bool(augmented) != (config.augmentation is not None):
        values["augmentation"] = Augmentation() if augmented else None
        values["random_place"] = bool(augmented)
    return values


def problems(settings: Mapping[str, Any], *, config: TrainingConfig) -> dict[str, str]:
    """Say what cannot work, by the setting that is to be changed.

    Parameters
    ----------
    settings, config
        As for `applied`.

    Returns
    -------
    dict of str to str
        Empty when all is well. A problem that no setting of the bench can mend has the name "".

    Examples
    --------
    >>> list(problems({"learning_rate": 0.0}, config=BENCH_CONFIG))
    ['learning_rate']

    Lesson: 06
    """
    values = applied(settings, config=config)
    paths = {setting.path: name for name, setting in settings_for(values["model"]["family"]).items()}
    for field in ("channels", "conv_channels"):
        if f"model.{field}" in paths:
            paths["model.pools"] = field
    found: dict[str, str] = {}
    for path, message in training.problems(_flattened(values)).items():
        name = paths.get(path, "")
        found[name] = f"{found[name]} {message}" if name in found else message
    return found


def some_of(dataset: SpeechDataset, count: int) -> SpeechDataset:
    """Choose some clips of a data set, spread evenly over its words and speakers.

    Parameters
    ----------
    dataset : SpeechDataset
        Such as ``datasets.digits("train")``.
    count : int
        How many clips; all when there are not more. The clips of a smaller number are among those of a
        larger one.

    Returns
    -------
    SpeechDataset
        In the order of the data set.

    Raises
    ------
    ValueError
        When the number is not positive.

    Examples
    --------
    >>> from asrlib import datasets
    >>> few = some_of(datasets.digits("train"), 40)
    >>> len(few), set(np.unique(few.labels, return_counts=True)[1].tolist())
    (40, {4})

    Lesson: 06
    """
    if count < 1:
        raise ValueError(f"clips is {count}; a network learns from one clip or more.")
    if count >= len(dataset):
        return dataset
    shuffled = np.random.default_rng(_SUBSET_SEED).permutation(len(dataset))
    turns = _turns([(dataset.labels[i], dataset.speakers[i]) for i in shuffled])
    by_speaker = shuffled[np.argsort(turns, kind="stable")]
    turns = _turns([dataset.labels[i] for i in by_speaker])
    chosen = by_speaker[np.argsort(turns, kind="stable")][:count]
    return dataset[np.sort(chosen)]


def _turns(keys: Iterable[Any]) -> np.ndarray:
    """Return, for each key, how often it came before."""
    seen: dict[Any, int] = {}
    turns = []
    for key in keys:
        turns.append(seen.get(key, 0))
        seen[key] = turns[-1] + 1
    return np.array(turns)


def _usual(family: str) -> Any:
    """Return a family's usual sizes; a CRNN's as they are trained here, with the head that did best."""
    return BENCH_CONFIG.model if family == BENCH_CONFIG.model.family else FAMILIES[family]()


def _nested(config: TrainingConfig) -> dict[str, Any]:
    return {**config.to_dict(), "features": config.features.to_dict(), "model": config.model.to_dict()}


def _flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    flat = {name: value for name, value in values.items() if name not in ("features", "model")}
    for part in ("features", "model"):
        flat.update({f"{part}.{name}": value for name, value in values[part].items()})
    return flat


def _flat(config: TrainingConfig) -> dict[str, Any]:
    return _flattened(_nested(config))


def _pools(model: Mapping[str, Any]) -> tuple[tuple[int, int], ...]:
    """Give every convolution its pooling: the ones there are, then halves of time and frequency."""
    count = len(model["channels"] if "channels" in model else model["conv_channels"])
    return (*map(tuple, model["pools"]), *([(2, 2)] * count))[:count]


def _refuse_unknown(settings: Mapping[str, Any], known: Mapping[str, Setting], family: str) -> None:
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise ValueError(
            f"There is no setting {', '.join(map(repr, unknown))} for the network {family!r}; there are "
            f"{', '.join(map(repr, known))}."
        )
