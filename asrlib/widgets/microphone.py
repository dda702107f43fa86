"""The learner's own voice: recorded in the browser or uploaded, it arrives as 16 kHz mono samples.

Both ways end in the same callback. The browser's echo cancelling, noise suppression and gain control are off,
since the course wants what the microphone heard; Python brings it to 16 kHz.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets
import numpy as np
import traitlets

from asrlib import audio
from asrlib.errors import AudioError

__all__ = ["Microphone", "Recorder", "samples_from_browser", "script"]

Callback = Callable[[np.ndarray], str | None]


def script(*names: str) -> str:
    """Join files of JavaScript that lie beside this one: a widget is one file for the browser.

    Parameters
    ----------
    *names : str
        The files, in their order; only the last one exports.

    Returns
    -------
    str

    Examples
    --------
    >>> script("capture.js", "microphone.js").count("export default")
    1

    Lesson: 00
    """
    here = Path(__file__).parent
    return "\n".join((here / name).read_text(encoding="utf-8") for name in names)


class Recorder(anywidget.AnyWidget):
    """The browser's half: the Record button with its level and its clock, and the Upload button."""

    _esm = script("capture.js", "microphone.js")

    max_seconds = traitlets.Float(10.0).tag(sync=True)
    # Thrown away: a capture that starts drops samples for about this long.
    warm_up_seconds = traitlets.Float(0.5).tag(sync=True)
    state = traitlets.Enum(["idle", "starting", "recording", "done", "error"], "idle").tag(sync=True)
    trouble = traitlets.Unicode("").tag(sync=True)  # the browser's name of what failed


class Microphone(ipywidgets.VBox):
    """Record in the browser, or upload a file; `audio` then holds 16 kHz mono samples.

    Parameters
    ----------
    max_seconds : float
        Recording stops by itself after this time. A longer upload is refused.

    Examples
    --------
    >>> microphone = Microphone()
    >>> microphone.on_recording(lambda samples: f"{len(samples) / 16_000:.1f} s arrived.")
    >>> microphone.audio is None
    True

    Lesson: 00
    """

    def __init__(self, *, max_seconds: float = 10.0) -> None:
        self.audio: np.ndarray | None = None
        """float32, shape (n_samples,), at 16 kHz: the last recording; None before the first."""
        self.error: Exception | None = None
        """What went wrong with the last recording or in a callback, as it is shown below the buttons."""
        self._callbacks: list[Callback] = []
        self.recorder = Recorder(max_seconds=max_seconds)
        self.answer = ipywidgets.HTML()
        self.recorder.on_msg(self._message_came)
        self.recorder.observe(self._state_changed, names="state")
        super().__init__([self.recorder, self.answer])

    def on_recording(self, callback: Callback) -> None:
        """Call a function with the samples of every recording from now on.

        Parameters
        ----------
        callback : callable
            Gets the samples, float32, shape (n_samples,), at 16 kHz. A text that it returns is shown below
            the buttons; so is an error that it raises.
        """
        self._callbacks.append(callback)

    def hear(self, samples: np.ndarray, *, sample_rate: int = audio.SAMPLE_RATE) -> None:
        """Take samples as if they had just been recorded.

        Parameters
        ----------
        samples : float array, shape (n_samples,)
            A recording, in [-1, 1].
        sample_rate : int
            In Hz.
        """
        self._take(lambda: audio.load(samples, source_rate=sample_rate))

    def _message_came(self, _: Any, content: Mapping[str, Any], buffers: Sequence[Any]) -> None:
        """Take what the browser sends: samples of a recording, or the bytes of a file."""
        if content.get("kind") == "recording":
            self._take(lambda: samples_from_browser(buffers[0], rate=content["rate"]))
        elif content.get("kind") == "upload":
            limit = self.recorder.max_seconds
            self._take(lambda: audio.load(bytes(buffers[0]), max_seconds=limit))

    def _state_changed(self, change: Mapping[str, Any]) -> None:
        if change["new"] == "starting":
            self.answer.value = ""  # the answer to the last recording would pass for one to the next

    def _take(self, read: Callable[[], np.ndarray]) -> None:
        """Keep a recording and tell the callbacks. What fails is shown: a comm's errors go to a log."""
        self.error = None
        try:
            self.audio = audio.check(read(), name="the recording")
            texts = [callback(self.audio) for callback in self._callbacks]
        except Exception as error:
            self.error = error
            kind = "" if isinstance(error, AudioError) else f"{type(error).__name__}: "
            self._say(f"{kind}{error}", color="var(--jp-error-color1, #b00020)")
            return
        said = " ".join(text for text in texts if text)
        said = said or f"{len(self.audio) / audio.SAMPLE_RATE:.1f} s of sound arrived."
        self._say(f"{said} {_advice(self.audio)}".rstrip())

    def _say(self, text: str, *, color: str = "inherit") -> None:
        style = f"font-size: 115%; line-height: 1.5; color: {color}"
        self.answer.value = f'<div style="{style}">{html.escape(text)}</div>'


def _advice(samples: np.ndarray) -> str:
    """Say what to do about a recording that is too loud or too soft to be judged fairly."""
    if np.abs(samples).max() > 0.985:
        return (
            "It reaches full scale: move away from the microphone or turn it down, or its peaks are cut off."
        )
    if audio.level_db(samples) < -55:
        return "It is very soft: come closer to the microphone or turn it up."
    return ""


def samples_from_browser(data: bytes | memoryview, *, rate: float) -> np.ndarray:
    """Turn the browser's bytes into samples at the course's rate.

    Parameters
    ----------
    data : bytes
        float32, little endian, mono.
    rate : float
        The sound device's rate in Hz.

    Returns
    -------
    float32 array, shape (n_samples,)
        At 16 kHz.

    Raises
    ------
    AudioError
        When nothing came, or it is not whole.

    Examples
    --------
    >>> samples_from_browser(np.full(480, 0.25, "<f4").tobytes(), rate=48_000).shape
    (160,)

    Lesson: 00
    """
    data = bytes(data)
    if not data or len(data) % 4:
        raise AudioError(
            f"The browser sent {len(data)} bytes; expected float32 samples, four bytes each. Record again."
        )
    samples = np.frombuffer(data, "<f4").astype(np.float32)
    # A microphone driven too hard may pass 1 a little. Scaled down it still reaches 1, and `_advice` says so.
    return audio.resample(
        audio.peak_limit(samples, peak=1.0), source_rate=round(rate), target_rate=audio.SAMPLE_RATE
    )
