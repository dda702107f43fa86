"""What can be chosen about each network: one small frozen configuration for each family.

Reading, comparing and saving configurations needs no TensorFlow.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any, ClassVar, Self

import numpy as np

HEADS = ("attention", "last", "max")
"""The ways of :class:`CrnnConfig` to turn one vector per time step into one vector per clip."""

CNN_HEADS = ("max", "average")
"""The ways of :class:`CnnConfig` to do so."""

RNN_HEADS = ("max", "last")
"""The ways of :class:`RnnConfig` to do so."""

CELLS = ("gru", "lstm", "simple")
"""The recurrent units that :class:`RnnConfig` offers."""

_MOST_COPIES = 100  # of layers or of networks: a damaged file must not ask for a billion of them


class _Config:
    """What the configurations of all families can do."""

    family: ClassVar[str]
    default_input_shape: ClassVar[tuple[int, int]] = (100, 20)  # meant where none is given
    members: ClassVar[int] = 1

    @property
    def one_member(self) -> Self:
        """The same sizes for a network that answers alone."""
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return the family and the sizes as plain values that JSON can hold."""
        return {"family": self.family, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a configuration from :meth:`to_dict`'s result; an unknown name is refused."""
        values = dict(values)
        family = values.pop("family", cls.family)
        if family != cls.family:
            raise ValueError(
                f"{cls.__name__} is of the family {cls.family!r}, these values are of {family!r}; "
                "asrlib.models.config_from_dict reads every family."
            )
        unknown = sorted(map(str, set(values) - {field.name for field in fields(cls)}))
        if unknown:
            raise ValueError(f"{cls.__name__} has no option {', '.join(map(repr, unknown))}.")
        return cls(**values)


@dataclass(frozen=True)
class SoftmaxConfig(_Config):
    """Softmax regression: one weighted sum of the whole window for each word, and nothing else to choose.

    Examples
    --------
    >>> SoftmaxConfig().to_dict()
    {'family': 'softmax'}

    Lesson: 04
    """

    family: ClassVar[str] = "softmax"


@dataclass(frozen=True)
class ArticleCnnConfig(_Config):
    """Sizes of the network that an introduction to convolutional networks often shows first.

    One convolution over time, pooling, and two dense layers. It was made for pictures of handwritten digits
    and reads frames here where it read rows of pixels there.

    Parameters
    ----------
    filters : int
        Kernels of the convolution.
    kernel_size : int
        Frames that each kernel covers.
    pool : int
        Neighbouring steps of which only the largest value is kept.
    conv_dropout : float
        Share of the pooled values silenced during training, from 0 up to (not including) 1.
    units : int
        Units of the hidden dense layer.
    dropout : float
        Share of the hidden units silenced during training.

    Raises
    ------
    ValueError
        If a size is not positive or a share is outside [0, 1).

    Examples
    --------
    >>> ArticleCnnConfig().kernel_size
    3

    Lesson: 04
    """

    family: ClassVar[str] = "article_cnn"

    filters: int = 32
    kernel_size: int = 3
    pool: int = 2
    conv_dropout: float = 0.25
    units: int = 128
    dropout: float = 0.5

    def __post_init__(self) -> None:
        _check_sizes(self, "filters", "kernel_size", "pool", "units")
        _check_shares(self, "conv_dropout", "dropout")


@dataclass(frozen=True)
class CnnConfig(_Config):
    """Sizes of a convolutional network on the log-mel picture.

    Parameters
    ----------
    channels : tuple of int
        Output channels of each convolution; its length is the number of convolutions.
    kernel_size : tuple of int
        Height (frames) and width (mel bands) of every convolution kernel.
    pools : tuple of (int, int)
        Max-pooling after each convolution, as (time, frequency).
    head : {"max", "average"}
        How the time axis is summed up: the largest value or the mean of each channel in each band. Bands stay
        apart, since the same bar means another vowel elsewhere in frequency.
    dropout : float
        Share of the head's outputs silenced during training, from 0 up to (not including) 1.

    Raises
    ------
    ValueError
        If a size is not positive, a share is outside [0, 1), or there is not one pool per convolution.

    Examples
    --------
    >>> CnnConfig(channels=(8, 16), pools=((2, 2), (2, 2))).head
    'max'

    Lesson: 04
    """

    family: ClassVar[str] = "cnn"

    channels: tuple[int, ...] = (16, 32, 48)
    kernel_size: tuple[int, int] = (3, 3)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2), (2, 1))
    head: str = "max"
    dropout: float = 0.3

    def __post_init__(self) -> None:
        _check_convolutions(self, "channels")
        _check_choice(self, "head", CNN_HEADS)
        _check_shares(self, "dropout")


@dataclass(frozen=True)
class RnnConfig(_Config):
    """Sizes of a recurrent network that reads the features frame by frame.

    Parameters
    ----------
    cell : {"gru", "lstm", "simple"}
        The recurrent unit: two gates, three gates and a memory of its own, or no gate.
    units : int
        Units of each recurrent layer, for each direction.
    layers : int
        How many recurrent layers read each other's output.
    bidirectional : bool
        Whether each layer also reads the clip backwards.
    head : {"max", "last"}
        How the time axis is summed up: the largest value of each unit, or the state after the last step.
    dropout : float
        Share of the head's outputs silenced during training, from 0 up to (not including) 1.

    Raises
    ------
    ValueError
        If a size is not positive, a share is outside [0, 1), or a choice is unknown.

    Examples
    --------
    >>> RnnConfig(cell="lstm").units
    48

    Lesson: 04
    """

    family: ClassVar[str] = "rnn"

    cell: str = "gru"
    units: int = 48
    layers: int = 1
    bidirectional: bool = True
    head: str = "max"
    dropout: float = 0.3

    def __post_init__(self) -> None:
        _check_choice(self, "cell", CELLS)
        _check_sizes(self, "units")
        _check_sizes(self, "layers", maximum=_MOST_COPIES)
        _check_flag(self, "bidirectional")
        _check_choice(self, "head", RNN_HEADS)
        _check_shares(self, "dropout")


@dataclass(frozen=True)
class CrnnConfig(_Config):
    """Sizes of a convolutional-recurrent network.

    Parameters
    ----------
    conv_channels : tuple of int
        Output channels of each convolution; its length is the number of convolutions.
    kernel_size : tuple of int
        Height (frames) and width (mel bands) of every convolution kernel.
    pools : tuple of (int, int)
        Max-pooling after each convolution, as (time, frequency).
    projection : int
        Units of the dense layer before the recurrent one; 0 leaves it out.
    gru_units : int
        Units of the recurrent layer, for each direction.
    bidirectional : bool
        Whether a second recurrent layer reads the clip backwards.
    head : {"attention", "last", "max"}
        How the time axis is summed up: a weighted mean whose weights the network computes, the state after
        the last step, or the largest value of each unit.
    dropout : float
        Share of the head's outputs silenced during training, from 0 up to (not including) 1.
    projection_dropout : float
        Share of the recurrent layer's inputs silenced during training.
    members : int
        How many networks of these sizes answer together. Each has weights of its own and is trained alone;
        the mean of their scores decides. Where one of them errs, another often does not.

    Raises
    ------
    ValueError
        If a size is not positive, a share is outside [0, 1), or there is not one pool per convolution.

    Examples
    --------
    >>> CrnnConfig().head
    'attention'
    >>> CrnnConfig.from_dict(CrnnConfig(gru_units=24).to_dict()) == CrnnConfig(gru_units=24)
    True

    Lesson: 04
    """

    family: ClassVar[str] = "crnn"

    conv_channels: tuple[int, ...] = (16, 32)
    kernel_size: tuple[int, int] = (3, 3)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2))
    projection: int = 64
    gru_units: int = 48
    bidirectional: bool = True
    head: str = "attention"
    dropout: float = 0.3
    projection_dropout: float = 0.0
    members: int = 1

    def __post_init__(self) -> None:
        _check_convolutions(self, "conv_channels")
        _check_sizes(self, "projection", minimum=0)
        _check_sizes(self, "gru_units")
        _check_sizes(self, "members", maximum=_MOST_COPIES)
        _check_flag(self, "bidirectional")
        _check_choice(self, "head", HEADS)
        _check_shares(self, "dropout", "projection_dropout")

    @property
    def one_member(self) -> CrnnConfig:
        """The same sizes for a network that answers alone."""
        return replace(self, members=1)


@dataclass(frozen=True)
class CtcConfig(_Config):
    """Sizes of a convolutional-recurrent network that answers at every step, so that CTC can read off a text.

    Parameters
    ----------
    conv_channels : tuple of int
        Output channels of each convolution; its length is the number of convolutions.
    kernel_size : tuple of int
        Height (frames) and width (mel bands) of every convolution kernel.
    pools : tuple of (int, int)
        Max-pooling after each convolution, as (time, frequency). Their product over time is the number of
        frames that make one step of the output.
    projection : int
        Units of the dense layer before the recurrent ones; 0 leaves it out.
    gru_units : int
        Units of each recurrent layer, for each direction.
    layers : int
        How many recurrent layers read each other's output.
    bidirectional : bool
        Whether each recurrent layer also reads the utterance backwards.
    causal : bool
        Whether no step may depend on later frames: zeros stand before the past only, and nothing is read
        backwards. Then the network can answer while the speaker is still speaking.
    dropout : float
        Share of each recurrent layer's outputs silenced during training, from 0 up to (not including) 1.
    projection_dropout : float
        Share of the first recurrent layer's inputs silenced during training.

    Raises
    ------
    ValueError
        If a size is not positive, a share is outside [0, 1), there is not one pool per convolution, or a
        causal network is to read backwards.

    Examples
    --------
    >>> CtcConfig().frames_per_step
    4
    >>> CtcConfig(causal=True, bidirectional=False).causal
    True

    Lesson: 08
    """

    family: ClassVar[str] = "ctc"
    default_input_shape: ClassVar[tuple[int, int]] = (100, 40)  # or any number of frames

    conv_channels: tuple[int, ...] = (24, 32)
    kernel_size: tuple[int, int] = (3, 3)
    pools: tuple[tuple[int, int], ...] = ((2, 2), (2, 2))
    projection: int = 64
    gru_units: int = 64
    layers: int = 1
    bidirectional: bool = True
    causal: bool = False
    dropout: float = 0.2
    projection_dropout: float = 0.0

    def __post_init__(self) -> None:
        _check_convolutions(self, "conv_channels")
        _check_sizes(self, "projection", minimum=0)
        _check_sizes(self, "gru_units")
        _check_sizes(self, "layers", maximum=_MOST_COPIES)
        _check_flag(self, "bidirectional")
        _check_flag(self, "causal")
        _check_shares(self, "dropout", "projection_dropout")
        if self.causal and self.bidirectional:
            raise ValueError(
                "causal=True came with bidirectional=True: what reads backwards begins at the end, which a "
                "causal network must not know. Pass bidirectional=False."
            )

    @property
    def frames_per_step(self) -> int:
        """Frames that make one step of the output."""
        return math.prod(time for time, _ in self.pools)


ModelConfig = SoftmaxConfig | ArticleCnnConfig | CnnConfig | RnnConfig | CrnnConfig
"""The configuration of any network that names one word for one clip; ``isinstance(…, ModelConfig)`` works."""

FAMILIES: Mapping[str, type[ModelConfig]] = MappingProxyType(
    {config.family: config for config in (SoftmaxConfig, ArticleCnnConfig, CnnConfig, RnnConfig, CrnnConfig)}
)
"""The configuration class of each such family, from the simplest network to the course's own."""

_EVERY_FAMILY = {**FAMILIES, CtcConfig.family: CtcConfig}


def config_from_dict(values: Mapping[str, Any]) -> ModelConfig | CtcConfig:
    """Build the configuration of any family from what its ``to_dict`` gave.

    Parameters
    ----------
    values : mapping
        With the name of the family under "family". Without it the values are a CRNN's, as in files of the
        time when there was no other family.

    Returns
    -------
    ModelConfig or CtcConfig

    Raises
    ------
    ValueError
        If the family is unknown or does not have one of these options.

    Examples
    --------
    >>> config_from_dict({"family": "rnn", "cell": "lstm"}).cell
    'lstm'
    >>> config_from_dict({"gru_units": 24}).family
    'crnn'

    Lesson: 04
    """
    if not isinstance(values, Mapping):
        raise ValueError(f"A network's configuration is a mapping of names to values, got {values!r}.")
    family = values.get("family", CrnnConfig.family)
    if not isinstance(family, str) or family not in _EVERY_FAMILY:
        raise ValueError(f"There is no family of networks {family!r}; known are {', '.join(_EVERY_FAMILY)}.")
    return _EVERY_FAMILY[family].from_dict(values)


def member_names(config: ModelConfig) -> tuple[str, ...]:
    """Name the networks that answer together, as their weights and their Keras models are named.

    Examples
    --------
    >>> member_names(CrnnConfig(members=2))
    ('member1', 'member2')

    Lesson: 04
    """
    return tuple(f"member{number}" for number in range(1, config.members + 1))


def integers(name: str, values: Any, *, length: int | None = None, minimum: int = 1) -> tuple[int, ...]:
    """Return the values as a tuple of ints, or say which one is not an int of at least `minimum`."""
    if not isinstance(values, Iterable) or isinstance(values, (str, bytes)):
        raise ValueError(f"{name} must be a sequence of whole numbers, got {values!r}.")
    values = tuple(values)
    if not values or (length is not None and len(values) != length):
        raise ValueError(f"{name} needs {length or 'at least one'} whole number(s), got {values!r}.")
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
            raise ValueError(f"{name} must be whole numbers of at least {minimum}, got {value!r}.")
    return tuple(int(value) for value in values)


def _check_convolutions(config: Any, channels: str) -> None:
    """Check channels, kernel and pools, and make tuples of them.

    Lists (as JSON gives them) become tuples, so that equal configurations compare and hash as equal.
    """
    outputs = integers(channels, getattr(config, channels))
    object.__setattr__(config, channels, outputs)
    object.__setattr__(config, "kernel_size", integers("kernel_size", config.kernel_size, length=2))
    if not isinstance(config.pools, Iterable) or isinstance(config.pools, str):
        raise ValueError(f"pools must hold one (time, frequency) pair per convolution, got {config.pools!r}.")
    pools = tuple(integers("each pool", pool, length=2) for pool in config.pools)
    object.__setattr__(config, "pools", pools)
    if len(pools) != len(outputs):
        raise ValueError(
            f"{len(outputs)} convolutions need {len(outputs)} pools, got "
            f"{len(pools)}: {channels}={outputs}, pools={pools}."
        )


def _check_sizes(config: Any, *names: str, minimum: int = 1, maximum: int | None = None) -> None:
    for name in names:
        (size,) = integers(name, (getattr(config, name),), minimum=minimum)
        if maximum is not None and size > maximum:
            raise ValueError(f"{name} must be at most {maximum}, got {size}.")
        object.__setattr__(config, name, size)  # NumPy's integers become Python's, which JSON can hold


def _check_shares(config: Any, *names: str) -> None:
    for name in names:
        share = getattr(config, name)
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share < 1:
            raise ValueError(f"{name} is a share from 0 up to (not including) 1, got {share!r}.")


def _check_choice(config: Any, name: str, choices: tuple[str, ...]) -> None:
    chosen = getattr(config, name)
    if not isinstance(chosen, str) or chosen not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {chosen!r}.")


def _check_flag(config: Any, name: str) -> None:
    if not isinstance(getattr(config, name), bool):
        raise ValueError(f"{name} must be True or False, got {getattr(config, name)!r}.")
