"""What cannot work, said before anything is trained."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from asrlib import models
from asrlib.augment import Augmentation
from asrlib.features import FeatureConfig
from asrlib.training.config import TrainingConfig

if TYPE_CHECKING:
    from asrlib.datasets import SpeechDataset

__all__ = ["problems"]

_TOO_FAST = {"adamw": 1.0, "adam": 1.0, "rmsprop": 1.0}
"""Learning rates at which these optimisers move every weight by more than weights are large."""


def problems(values: Mapping[str, Any], *, train_set: SpeechDataset | None = None) -> dict[str, str]:
    """Say which settings of a training cannot work, and why, without training.

    Parameters
    ----------
    values : mapping
        Settings, nested as :meth:`asrlib.training.TrainingConfig.to_dict` gives them or under dotted names;
        those left out have their defaults.
    train_set : SpeechDataset, optional
        The recordings, to compare with.

    Returns
    -------
    dict of str to str
        From the dotted name of a setting to what is wrong with it; empty if all is well.

    Examples
    --------
    >>> problems({"learning_rate": 0.0, "features.n_mels": 20})
    {'learning_rate': 'learning_rate must be above 0 (0.002 is a good start), got 0.0.'}
    >>> list(problems({"features": {"f_max": 9_000.0}}))
    ['features.f_max']

    Lesson: 06
    """
    own, sections = _sorted_out(values)
    found: dict[str, str] = {}
    defaults = TrainingConfig()
    features, wrong = _settle(
        lambda chosen: FeatureConfig.from_dict(defaults.features.to_dict() | chosen), sections["features"]
    )
    found |= {f"features.{name}": message for name, message in wrong.items()}
    model, wrong = _settle(_model, sections["model"])
    found |= {f"model.{name}": message for name, message in wrong.items()}
    if sections["augmentation"]:
        augmentation, wrong = _settle(lambda chosen: Augmentation(**chosen), sections["augmentation"])
        found |= {f"augmentation.{name}": message for name, message in wrong.items()}
        own["augmentation"] = augmentation
    config, wrong = _settle(
        lambda chosen: TrainingConfig(**({"features": features, "model": model} | chosen)), own
    )
    found |= wrong
    found |= _too_fast(config)
    found |= {name: text for name, text in _too_large(config, sections["model"]).items() if name not in found}
    return found | _too_short(config, train_set)


def _sorted_out(values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Part the training's own settings from those of its three sections, nested or dotted."""
    own: dict[str, Any] = {}
    sections: dict[str, dict[str, Any]] = {"features": {}, "model": {}, "augmentation": {}}
    for name, value in values.items():
        section, _, rest = name.partition(".")
        if section in sections and rest:
            sections[section][rest] = value
        elif section in sections and isinstance(value, Mapping):
            sections[section] |= value
        else:
            own[name] = value
    return own, sections


def _settle(make: Callable[[dict[str, Any]], Any], chosen: Mapping[str, Any]) -> tuple[Any, dict[str, str]]:
    """Make a configuration, leaving out one wrong setting after the other, and say what was wrong."""
    chosen, wrong = dict(chosen), {}
    while True:
        try:
            return make(chosen), wrong
        except (ValueError, TypeError) as error:
            name = _culprit(make, chosen, str(error))
            wrong[name] = (
                str(error) if isinstance(error, ValueError) else f"{name} cannot be {chosen[name]!r}."
            )
            del chosen[name]
            if name == "family":  # the other sizes belong to a family that is not there
                chosen.clear()


def _culprit(make: Callable[[dict[str, Any]], Any], chosen: Mapping[str, Any], message: str) -> str:
    """Choose the setting to blame: the first that the message names and that helps when it is left out."""
    helps = [name for name in chosen if _message(make, chosen, without=name) != message]
    return _first_named(message, helps) or _first_named(message, list(chosen)) or (helps or list(chosen))[0]


def _message(make: Callable[[dict[str, Any]], Any], chosen: Mapping[str, Any], *, without: str) -> str | None:
    try:
        make({name: value for name, value in chosen.items() if name != without})
    except (ValueError, TypeError) as error:
        return str(error)
    return None


def _first_named(message: str, names: list[str]) -> str | None:
    places = {name: re.search(rf"\b{re.escape(name)}\b", message) for name in names}
    named = {name: found.start() for name, found in places.items() if found}
    return min(named, key=named.__getitem__, default=None)


def _model(chosen: Mapping[str, Any]) -> models.ModelConfig:
    return models.config_from_dict(chosen)


def _too_fast(config: TrainingConfig) -> dict[str, str]:
    limit = _TOO_FAST.get(config.optimizer)
    if limit is None or config.learning_rate < limit:
        return {}
    return {
        "learning_rate": f"learning_rate is {config.learning_rate:g}: {config.optimizer} moves every weight "
        "by about that much in each step, far more than weights are large; 0.002 is a good start."
    }


def _too_large(config: TrainingConfig, chosen: Mapping[str, Any]) -> dict[str, str]:
    """Say whether the network leaves nothing of the window."""
    try:
        models.weight_shapes(config.model, input_shape=config.input_shape)
    except ValueError as error:
        names = [*chosen, *(name for name in config.model.to_dict() if name not in chosen)]
        name = _first_named(str(error), names) or "family"
        return {f"model.{name}": str(error)}
    return {}


def _too_short(config: TrainingConfig, train_set: SpeechDataset | None) -> dict[str, str]:
    """Say whether a frame of features is longer than a recording."""
    if train_set is None or not len(train_set):
        return {}
    features = config.features
    shortest = round(float(train_set.seconds.min()) * features.sample_rate)
    if features.n_frames(shortest):
        return {}
    name = "n_fft" if features.frame_length == features.n_fft else "window_seconds"
    return {
        f"features.{name}": f"{name} makes frames of {features.frame_length / features.sample_rate:.3f} s, "
        f"but the shortest recording lasts {shortest / features.sample_rate:.3f} s; choose a smaller {name}."
    }
