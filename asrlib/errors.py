"""The errors that asrlib raises on purpose: each says what came, what was expected and what to do."""

__all__ = ["AudioError", "ConversionError", "DatasetUnavailable", "ModelFileError"]


class AudioError(ValueError):
    """A sound cannot be used as it is: empty, truncated, not audio, silent, or of the wrong shape or range.

    Examples
    --------
    >>> raise AudioError("the clip is empty; record again")
    Traceback (most recent call last):
    ...
    asrlib.errors.AudioError: the clip is empty; record again
    """


class ConversionError(RuntimeError):
    """A network could not be brought into another format, or gives other answers there.

    Examples
    --------
    >>> raise ConversionError("the converter crashed; pass unroll=True")
    Traceback (most recent call last):
    ...
    asrlib.errors.ConversionError: the converter crashed; pass unroll=True
    """


class DatasetUnavailable(RuntimeError):
    """A data set is neither on this machine nor to be had over the network.

    Examples
    --------
    >>> raise DatasetUnavailable("no network; name a folder in ASRLIB_DATA")
    Traceback (most recent call last):
    ...
    asrlib.errors.DatasetUnavailable: no network; name a folder in ASRLIB_DATA
    """


class ModelFileError(ValueError):
    """A file is not a recogniser that asrlib saved, or it is damaged.

    Examples
    --------
    >>> raise ModelFileError("not a recogniser: the file holds no config.json")
    Traceback (most recent call last):
    ...
    asrlib.errors.ModelFileError: not a recogniser: the file holds no config.json
    """
