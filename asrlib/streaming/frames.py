"""Features of a sound that is still coming, equal to those of the whole sound."""

from __future__ import annotations

import dataclasses

import numpy as np

from asrlib import features
from asrlib.errors import AudioError
from asrlib.features import FeatureConfig
from asrlib.streaming.chunks import check_chunk, refuse_finished

__all__ = ["RunningNormalizer", "StreamingFeatures"]

_PADDINGS = {"zeros": "constant", "reflect": "reflect", "symmetric": "symmetric", "edge": "edge"}


class StreamingFeatures:
    """Make the frames of `asrlib.features.extract` from chunks of any size, each as soon as it is whole.

    Between chunks it keeps less than one frame of samples, one more for the padding at the end, and the last
    sample for the pre-emphasis. Put together, the frames are those of the whole recording up to rounding:
    Fourier transforms and matrix products round in another order when they work on other numbers of frames.

    Two settings need the whole recording before the first frame: `top_db` counts from its greatest value, and
    `normalization` subtracts its mean. They are refused; `RunningNormalizer` normalises by what has been
    heard so far.

    With ``center=True`` the first frame comes once half a frame has been heard, the last ones with `flush`.

    Parameters
    ----------
    config : FeatureConfig, optional
        All settings; the defaults when left out.

    Attributes
    ----------
    n_samples, n_frames : int
        Samples taken and frames given since the stream began.

    Raises
    ------
    ValueError
        When the configuration needs the whole recording.

    Examples
    --------
    >>> sound = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    >>> stream = StreamingFeatures(FeatureConfig(n_mels=20))
    >>> parts = [stream.push(sound[start : start + 1000]) for start in range(0, 16_000, 1000)]
    >>> parts.append(stream.flush())
    >>> [len(part) for part in parts[:4]]
    [4, 6, 6, 6]
    >>> whole = features.extract(sound, FeatureConfig(n_mels=20))
    >>> bool(np.allclose(np.concatenate(parts), whole, atol=1e-4))
    True

    References
    ----------
    .. [1] A. V. Oppenheim, R. W. Schafer, "Discrete-Time Signal Processing", 3rd edition, 2010, section 8.7
       (long signals block by block).

    Lesson: 09
    """

    def __init__(self, config: FeatureConfig | None = None) -> None:
        self.config = config or FeatureConfig()
        _refuse_whole_recording(self.config)
        # Pre-emphasis and padding reach beyond a chunk, so they are done here; the rest frame by frame.
        self._inner = dataclasses.replace(
            self.config,
            center=False,
            pad_end=False,
            preemphasis=self.config.preemphasis if self.config.preemphasis_per_frame else 0.0,
        )
        self._before = self.config.frame_length // 2 if self.config.center else 0
        self._tail_length = max(self.config.frame_length, self.config.hop_length) + 1
        self.reset()

    def reset(self) -> None:
        """Forget the stream and begin another.

        Examples
        --------
        >>> stream = StreamingFeatures()
        >>> _ = stream.push(np.zeros(1000, np.float32))
        >>> stream.reset()
        >>> stream.n_samples, stream.n_frames
        (0, 0)

        Lesson: 09
        """
        self.n_samples = 0
        self.n_frames = 0
        self._pending = np.empty(0, np.float32)  # from the first sample of the next frame on
        self._skip = 0  # samples to come that lie between two frames, where the hop is longer than a frame
        self._tail = np.empty(0, np.float32)  # the newest samples, for the padding behind the end
        self._last = np.float32(0)
        self._padded = self._before == 0
        self._finished = False

    def push(self, chunk: np.ndarray, *, sample_rate: int | None = None) -> np.ndarray:
        """Take a chunk, and give the frames that it completes.

        Parameters
        ----------
        chunk : ndarray, shape (n_samples,)
            Float, within [-1, 1], any number of samples from 1 on.
        sample_rate : int, optional
            Of the chunk in Hz; when given it must be that of the configuration.

        Returns
        -------
        ndarray, shape (n_frames, n_coefficients)
            float32; often without a single frame.

        Raises
        ------
        AudioError
            When the chunk is empty, not finite, or of the wrong shape, type, range or rate. The stream is
            then as it was.
        ValueError
            After `flush`.

        Examples
        --------
        >>> stream = StreamingFeatures()
        >>> stream.push(np.zeros(511, np.float32)).shape, stream.push(np.zeros(1, np.float32)).shape
        ((0, 40), (1, 40))

        Lesson: 09
        """
        refuse_finished(self._finished)
        chunk = check_chunk(chunk, sample_rate=sample_rate, expected=self.config.sample_rate)
        samples = self._preemphasised(chunk)
        self.n_samples += len(samples)
        self._take(samples)
        return self._frames()

    def flush(self) -> np.ndarray:
        """End the stream, and give the frames that the padding behind the end completes, if there is any.

        Returns
        -------
        ndarray, shape (n_frames, n_coefficients)
            float32.

        Raises
        ------
        AudioError
            When the recording was too short to be reflected, as in `asrlib.features.frame`.
        ValueError
            After an earlier `flush`.

        Examples
        --------
        >>> stream = StreamingFeatures(FeatureConfig(pad_end=True))
        >>> stream.push(np.zeros(100, np.float32)).shape, stream.flush().shape
        ((0, 40), (1, 40))

        Lesson: 09
        """
        refuse_finished(self._finished)
        self._finished = True
        if not self._padded and self.n_samples:
            # Shorter than half a frame: the padding before it depends on where it ends. It is all there yet.
            whole = dataclasses.replace(self._inner, center=True)
            return self._counted(_compute(self._pending, whole))
        config = self.config
        needed = (config.n_frames(self.n_samples) - 1) * config.hop_length + config.frame_length
        after = needed - self._before - self.n_samples
        if self.n_samples and config.n_frames(self.n_samples) > self.n_frames and after > 0:
            self._take(self._padding_behind(after))
        return self._frames()

    def _preemphasised(self, chunk: np.ndarray) -> np.ndarray:
        coefficient = np.float32(self.config.preemphasis)
        if coefficient == 0 or self.config.preemphasis_per_frame:
            return chunk
        first = self._last
        if self.n_samples == 0:
            first = chunk[0] if self.config.preemphasis_start == "repeat" else np.float32(0)
        previous = np.concatenate([[first], chunk[:-1]])
        self._last = chunk[-1]
        return chunk - coefficient * previous

    def _take(self, samples: np.ndarray) -> None:
        self._tail = np.concatenate([self._tail, samples[-self._tail_length :]])[-self._tail_length :]
        skipped = min(self._skip, len(samples))
        self._skip -= skipped
        self._pending = np.concatenate([self._pending, samples[skipped:]])
        if not self._padded and self.n_samples > self._before:
            self._pending = np.pad(self._pending, (self._before, 0), _PADDINGS[self.config.padding])
            self._padded = True

    def _frames(self) -> np.ndarray:
        n_frames = self._inner.n_frames(len(self._pending)) if self._padded else 0
        if n_frames == 0:
            return np.empty((0, self.config.n_coefficients), np.float32)
        frames = _compute(self._pending, self._inner)
        used = n_frames * self.config.hop_length
        self._skip += max(0, used - len(self._pending))
        self._pending = self._pending[used:].copy()  # a view would keep the whole chunk in memory
        return self._counted(frames)

    def _counted(self, frames: np.ndarray) -> np.ndarray:
        self.n_frames += len(frames)
        return frames

    def _padding_behind(self, after: int) -> np.ndarray:
        if self.config.padding == "reflect" and after >= self.n_samples:
            raise AudioError(
                f"A stream of {self.n_samples} samples cannot be reflected by {after} samples. Push more, "
                'use a smaller n_fft, or padding="zeros".'
            )
        return np.pad(self._tail, (0, after), _PADDINGS[self.config.padding])[len(self._tail) :]


def _compute(samples: np.ndarray, config: FeatureConfig) -> np.ndarray:
    return features.mfcc(samples, config) if config.kind == "mfcc" else features.log_mel(samples, config)


def _refuse_whole_recording(config: FeatureConfig) -> None:
    if config.top_db is not None:
        raise ValueError(
            f"top_db={config.top_db} came. It counts from the greatest value of the whole recording, which a "
            "stream does not know yet. Take top_db=None, and log_floor for a fixed floor."
        )
    if config.normalization != "none":
        raise ValueError(
            f"normalization={config.normalization!r} came. It needs the mean of the whole recording, which a "
            "stream does not know yet. Take normalization='none', then RunningNormalizer on the frames."
        )


class RunningNormalizer:
    """Normalise each frame by the frames heard so far: `asrlib.features.cmvn` without the future.

    Frame t moves the mean by a share of its distance from it, ``m += (x - m) / min(t, horizon)``, and the
    mean of the squares likewise; then the mean is subtracted, and the deviation divides. Up to `horizon` the
    mean is that of all frames so far; later ones forget, with a time constant of `horizon`. The first frames
    hardly know a mean, so they differ most from what `cmvn` gives: train a network on what it will get.

    Parameters
    ----------
    kind : {"mean", "utterance", "level", "both"}
        "mean" subtracts the mean; "utterance" divides by the standard deviation too; "level" subtracts one
        number, the mean over all coefficients; "both" gives the result of "level", then that of "mean".
    horizon_seconds : float
        Over how long the mean is taken, in seconds.
    hop_seconds : float
        From one frame to the next, in seconds.

    Raises
    ------
    ValueError
        When a setting does not fit.

    Examples
    --------
    >>> normalizer = RunningNormalizer("mean")
    >>> normalizer.push(np.array([[1.0], [3.0]])).tolist()
    [[0.0], [1.0]]
    >>> normalizer.push(np.array([[5.0]])).tolist()
    [[2.0]]

    References
    ----------
    .. [1] O. Viikki and K. Laurila, "Cepstral domain segmental feature vector normalization for noise robust
       speech recognition", Speech Communication 25 (1-3), 1998, pp. 133-147.
       https://doi.org/10.1016/S0167-6393(98)00033-8

    Lesson: 09
    """

    def __init__(
        self, kind: str = "mean", *, horizon_seconds: float = 3.0, hop_seconds: float = 0.010
    ) -> None:
        if kind not in ("mean", "utterance", "level", "both"):
            raise ValueError(f"kind={kind!r} came. Expected one of mean, utterance, level, both.")
        if not 0 < hop_seconds <= horizon_seconds < np.inf:
            raise ValueError(
                f"horizon_seconds={horizon_seconds!r} and hop_seconds={hop_seconds!r} came. Expected numbers "
                "of seconds above 0, and a horizon of one hop or more."
            )
        self.kind = kind
        self.horizon = round(horizon_seconds / hop_seconds)
        times = {"horizon_seconds": horizon_seconds, "hop_seconds": hop_seconds}
        parts = ("level", "mean") if kind == "both" else ()
        self._parts = tuple(RunningNormalizer(part, **times) for part in parts)
        self.reset()

    def reset(self) -> None:
        """Forget all frames and begin another stream.

        Examples
        --------
        >>> normalizer = RunningNormalizer("mean")
        >>> _ = normalizer.push(np.ones((5, 3)))
        >>> normalizer.reset()
        >>> normalizer.n_frames
        0

        Lesson: 09
        """
        self.n_frames = 0
        self._mean = self._square = np.float64(0)
        for part in self._parts:
            part.reset()

    def push(self, frames: np.ndarray) -> np.ndarray:
        """Normalise some frames.

        Parameters
        ----------
        frames : ndarray, shape (n_frames, n_coefficients)
            Features, finite; no frame at all is welcome, since `StreamingFeatures` gives that.

        Returns
        -------
        ndarray, shape (n_frames, n_coefficients)
            float32; of kind "both" with twice as many coefficients.

        Raises
        ------
        ValueError
            When the frames have another shape than those before, or are not finite.

        Examples
        --------
        >>> RunningNormalizer("utterance").push(np.array([[1.0], [3.0]])).round(3).tolist()
        [[0.0], [1.0]]

        Lesson: 09
        """
        if self._parts:
            result = np.concatenate([part.push(frames) for part in self._parts], axis=-1)
            self.n_frames += len(result)
            return result
        frames = self._checked(frames)
        result = np.empty(frames.shape, np.float32)
        for index, frame in enumerate(frames):
            self.n_frames += 1
            share = 1 / min(self.n_frames, self.horizon)
            middle = np.full_like(frame, frame.mean()) if self.kind == "level" else frame
            self._mean = self._mean + share * (middle - self._mean)
            self._square = self._square + share * (np.square(frame) - self._square)
            result[index] = (frame - self._mean) / self._deviation()
        return result

    def _deviation(self) -> np.ndarray | float:
        if self.kind in ("mean", "level"):
            return 1.0
        deviation = np.sqrt(np.maximum(self._square - np.square(self._mean), 0))
        # As in cmvn: a coefficient that hardly varies is not divided by rounding errors.
        return np.where(deviation < 1e-4, 1.0, deviation)

    def _checked(self, frames: np.ndarray) -> np.ndarray:
        frames = np.asarray(frames, np.float64)
        width = np.shape(self._mean)
        if frames.ndim != 2 or (width and frames.shape[1:] != width):
            expected = f"(n_frames, {width[0]})" if width else "(n_frames, n_coefficients)"
            raise ValueError(f"Frames of shape {frames.shape} came. Expected {expected}.")
        if not np.isfinite(frames).all():
            raise ValueError("Frames with NaN or infinite values came. Check how they were computed.")
        return frames
