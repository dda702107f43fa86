"""Lesson 2's explorers: a filter and what it does to a sound; a noise, a remedy, what the machine says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import ipywidgets
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from asrlib import audio, augment, filters, plots, signals
from asrlib.datasets import Clip
from asrlib.recognizer import Recognizer, Transcript
from asrlib.widgets.controls import choice, slider, steps, switch
from asrlib.widgets.explorer import Explorer
from asrlib.widgets.picture import set_limits

__all__ = [
    "NOISES",
    "REMEDIES",
    "DenoiseExplorer",
    "Denoised",
    "FilterExplorer",
    "Filtered",
]

_KINDS = ("low-pass", "high-pass", "band-pass", "band-stop")
_DESIGNS = ("FIR (windowed sinc)", "IIR (Butterworth)")
_EDGES_HZ = (
    *(30, 40, 50, 63, 80, 100, 125, 160, 200, 250, 315, 400, 500, 630, 800, 1000, 1250),
    *(1600, 2000, 2500, 3150, 4000, 5000, 6300, 7500),
)
# The order of an FIR filter is its number of taps less one; it takes far more of them for a slope as steep.
_FIR_ORDER = 50
_IMPULSE_SECONDS = 0.030
_N_POINTS = 2048
_LEAST_GAIN_DB = -80.0
_SHOWN_DB = 70.0
_N_COLORS = 28  # one for each 2.5 dB
_QUIET_BAR = "#8c8c8c"

_NOISE_SECONDS = 4.0
_ROOM_SECONDS = 1.0  # of noise alone, as if the room had been recorded before anybody spoke
_REVERBERATION_SECONDS = 0.5

NOISES = ("hum", "white noise", "hiss", "babble", "reverberation")
"""What `DenoiseExplorer` can add."""

REMEDIES = ("none", "high-pass 200 Hz", "notches 50 to 400 Hz", "spectral subtraction", "Wiener gate")
"""What `DenoiseExplorer` can do about it."""


# -- the filter designer ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Filtered:
    """A filter, and a sound before and after it.

    Parameters
    ----------
    filter : Fir or Iir
        The design.
    response : Response
        Its gain and phase.
    delay : (ndarray, ndarray)
        Frequencies in Hz and group delay in seconds.
    impulse_response : float32 array, shape (480,)
        The first 30 ms.
    before, after : float32 array, shape (n_samples,)
        The sound.
    name : str
        The filter in words.
    passes : int
        1, or 2 where the filter ran forwards and backwards.
    transcript : Transcript or None
        What the machine writes for the sound after the filter, where there is a machine.
    expected : str
        What is said; empty when nobody knows.

    Lesson: 02
    """

    filter: filters.Filter
    response: filters.Response
    delay: tuple[np.ndarray, np.ndarray]
    impulse_response: np.ndarray
    before: np.ndarray
    after: np.ndarray
    name: str
    passes: int
    transcript: Transcript | None
    expected: str


class FilterExplorer(Explorer):
    """Design a filter and send a sound through it.

    Parameters
    ----------
    sounds : mapping of str to ndarray, or iterable of Clip
        The sounds to choose from, at 16 kHz. Clips bring what they say.
    recognizer : Recognizer, optional
        A machine that says what it makes of the sound after the filter.

    Raises
    ------
    ValueError
        When there is no sound.

    Examples
    --------
    >>> noise = signals.white_noise(0.5, rng=np.random.default_rng(0))
    >>> FilterExplorer({"noise": noise}).still(kind="low-pass", design="IIR (Butterworth)", order=4)
    Butterworth low-pass, order 4, 1000 Hz. Gain −3.0 dB at 1000 Hz. It delays a tone of 500 Hz by 0.47 ms.
    10 multiplications for each sample.

    Lesson: 02
    """

    size = (8.4, 4.4)
    dpi = 88  # two pictures of noise take long to pack and unpack: fewer points keep the hand ahead

    def __init__(
        self, sounds: dict[str, np.ndarray] | Iterable[Clip], *, recognizer: Recognizer | None = None
    ) -> None:
        self.sounds = _named(sounds)
        self.recognizer = recognizer
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: the sound, the kind of filter, its cut-offs in Hz, its order."""
        edges = [(f"{hz} Hz", hz) for hz in _EDGES_HZ]
        inputs: dict[str, ipywidgets.Widget] = {
            "clip": choice("sound", list(self.sounds)),
            "kind": choice("type", _KINDS, value="band-pass"),
            "design": choice("design", _DESIGNS),
            "low": steps("low cut-off", edges, value=200),
            "high": steps("high cut-off", edges, value=1000),
            "order": slider("order", 2, low=1, high=10, step=1, unit=f"FIR: × {_FIR_ORDER}"),
            "zero_phase": switch("forwards and backwards"),
        }
        kind, low, high = inputs["kind"], inputs["low"], inputs["high"]

        def rest_what_does_nothing(_: object = None) -> None:
            low.disabled, high.disabled = kind.value == "low-pass", kind.value == "high-pass"

        kind.observe(rest_what_does_nothing, names="value")
        return inputs

    def compute(
        self,
        *,
        clip: str,
        kind: str,
        design: str,
        low: int,
        high: int,
        order: float,
        zero_phase: bool,
    ) -> Filtered:
        """Design the filter, measure it, send the sound through."""
        before, expected = self.sounds[clip]
        cutoff: float | tuple[float, float] = {"low-pass": float(high), "high-pass": float(low)}.get(
            kind, (float(low), float(high))
        )
        plain = kind.replace("-", "")
        fir, n_taps = design == _DESIGNS[0], _FIR_ORDER * int(order) + 1
        if fir:
            designed: filters.Filter = filters.fir(plain, cutoff, n_taps=n_taps)
        else:
            designed = filters.butterworth(plain, cutoff, order=int(order))
        after = filters.apply(designed, before, zero_phase=zero_phase)
        heard = None
        if self.recognizer is not None and np.abs(after).max() > 1e-4:
            heard = self.recognizer.transcribe(audio.peak_limit(after))
        size = f"{n_taps} taps" if fir else f"order {int(order)}"
        edges = " to ".join(f"{hz:g}" for hz in np.atleast_1d(cutoff))
        return Filtered(
            designed,
            filters.frequency_response(designed, n_points=_N_POINTS),
            filters.group_delay(designed, n_points=_N_POINTS),
            filters.impulse_response(designed, seconds=_IMPULSE_SECONDS),
            before,
            after,
            f"{'FIR' if fir else 'Butterworth'} {kind}, {size}, {edges} Hz",
            2 if zero_phase else 1,
            heard,
            expected,
        )

    def build(self, figure: Figure, result: Filtered) -> list[Artist]:
        """Draw the response and the impulse response above the sound before and after."""
        grid = figure.add_gridspec(2, 2)
        self._gain = plots.gain(
            {"filter": result.response},
            lowest_db=_LEAST_GAIN_DB,
            logarithmic=True,
            ax=figure.add_subplot(grid[0, 0]),
        )
        self._gain.set_ylim(_LEAST_GAIN_DB, 10)
        self._impulse = figure.add_subplot(grid[0, 1])
        plots.impulse_response({"filter": result.impulse_response}, ax=self._impulse)
        self._impulse.lines[0].set_marker("none")
        self._impulse.set(xlim=(0, 1000 * _IMPULSE_SECONDS), ylim=(-1.1, 1.1), ylabel="relative amplitude")
        self._pictures = [figure.add_subplot(grid[1, column]) for column in (0, 1)]
        for axes, sound in zip(self._pictures, (result.before, result.after), strict=True):
            _prepare_picture(axes, sound)
        titles = ("gain", "impulse response, largest value 1", "before", "after")
        for axes, title in zip((self._gain, self._impulse, *self._pictures), titles, strict=True):
            axes.set_title(title, loc="left", fontsize=10)
        lines = [self._gain.lines[0], self._impulse.lines[0]]
        return [*lines, *(axes.images[0] for axes in self._pictures)]

    def draw(self, result: Filtered) -> None:
        """Move the two curves and the two pictures."""
        gain = np.maximum(result.passes * result.response.gain_db, 2 * _LEAST_GAIN_DB)
        self._gain.lines[0].set_data(result.response.frequencies, gain)
        response = result.impulse_response
        largest = float(np.abs(response).max()) or 1.0
        self._impulse.lines[0].set_data(1000 * np.arange(len(response)) / 16_000, response / largest)
        before, after = (plots.spectrogram_db(sound) for sound in (result.before, result.after))
        for axes, picture in zip(self._pictures, (before, after), strict=True):
            _move_picture(axes, picture, len(result.before), loudest=float(before.max()))

    def describe(self, result: Filtered) -> str:
        """Say what the filter is, how it treats three tones, how long it holds them back, what it costs."""
        cutoffs = result.name.rsplit(", ", 1)[1].removesuffix(" Hz").split(" to ")
        at = " and ".join(f"{_gain_at(result, float(hz))} dB at {hz} Hz" for hz in cutoffs)
        if result.passes == 2:
            timing = "Forwards and backwards: the delay cancels"
        else:
            hertz = _heard_frequency(result)
            delay = 1000 * float(np.interp(hertz, *result.delay))
            timing = f"It delays a tone of {hertz:.0f} Hz by {delay:.2f} ms".replace("-", "\N{MINUS SIGN}")
        n_products = _products(result.filter) * result.passes
        text = f"{result.name}. Gain {at}. {timing}. {n_products} multiplications for each sample."
        if result.transcript is None:
            return text
        return f"{text} The machine hears what is left: {_verdict(result.transcript, result.expected)}"

    def sound(self, result: Filtered) -> np.ndarray:
        """Return the sound after the filter."""
        return audio.peak_limit(result.after)


# -- the denoiser ----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Denoised:
    """A word in noise, before and after a remedy, and what the machine made of both.

    Parameters
    ----------
    clean, noisy, cleaned : float32 array, shape (n_samples,)
        The word, the word in noise, and what the remedy left, all at the level of the word; they may pass
        [-1, 1].
    before_db, after_db : float
        Signal-to-noise ratio while somebody speaks, before and after. Whatever differs from the clean word
        counts as noise, whether the room added it or the remedy.
    heard_before, heard_after : Transcript
        The machine's answers.
    expected : str
        What was said.

    Lesson: 02
    """

    clean: np.ndarray
    noisy: np.ndarray
    cleaned: np.ndarray
    before_db: float
    after_db: float
    heard_before: Transcript
    heard_after: Transcript
    expected: str

    @property
    def gained_db(self) -> float:
        """Signal-to-noise ratio gained by the remedy, in dB; negative when it did harm."""
        return self.after_db - self.before_db


class DenoiseExplorer(Explorer):
    """Disturb a word, choose a remedy, and ask the machine before and after.

    Parameters
    ----------
    recognizer : Recognizer
        The machine.
    clips : iterable of Clip
        The words to choose from.
    babble : sequence of ndarray
        Clips that talk in the background.

    Raises
    ------
    ValueError
        When there is no clip.

    Examples
    --------
    >>> from asrlib import datasets
    >>> clips = datasets.digits("test").where(take=0, speaker="af_nova")               # doctest: +SKIP
    >>> DenoiseExplorer(Recognizer.default(), clips, babble=others).still(noise="hum")  # doctest: +SKIP

    Lesson: 02
    """

    size = (8.4, 4.2)
    dpi = 80  # as above

    def __init__(
        self, recognizer: Recognizer, clips: Iterable[Clip], *, babble: Iterable[np.ndarray]
    ) -> None:
        self.recognizer = recognizer
        self.sounds = _named(clips)
        rng = np.random.default_rng(0)
        seconds, voices = _NOISE_SECONDS + _ROOM_SECONDS, list(babble)
        # Drawn once: what changes with a slider is the level and nothing else.
        self._noises = {
            "hum": signals.hum(seconds, rng=rng),
            "white noise": signals.white_noise(seconds, rng=rng),
            "hiss": signals.hiss(seconds, rng=rng),
            "babble": signals.babble(seconds, clips=voices, rng=rng),
        }
        super().__init__()

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls: the clip, the noise, its signal-to-noise ratio in dB, the remedy."""
        levels = [(f"{db} dB".replace("-", "\N{MINUS SIGN}"), float(db)) for db in range(30, -41, -5)]
        return {
            "clip": choice("clip", list(self.sounds)),
            "noise": choice("noise", NOISES),
            "snr_db": steps("SNR", levels, value=-20.0),
            "remedy": choice("remedy", REMEDIES, value="high-pass 200 Hz"),
        }

    def compute(self, *, clip: str, noise: str, snr_db: float, remedy: str) -> Denoised:
        """Disturb the word, apply the remedy, let the machine answer twice."""
        clean, expected = self.sounds[clip]
        noisy, room = self._disturbed(clean, noise, snr_db)
        cleaned = _apply_remedy(remedy, noisy, room)
        return Denoised(
            clean,
            noisy,
            cleaned,
            signals.snr_db(clean, noisy),
            signals.snr_db(clean, cleaned),
            self.recognizer.transcribe(audio.peak_limit(noisy)),
            self.recognizer.transcribe(audio.peak_limit(cleaned)),
            expected,
        )

    def _disturbed(
        self, clean: np.ndarray, noise: str, snr_db: float
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the disturbed word, and a second of the noise alone where there can be one."""
        if noise == "reverberation":  # the echoes are the noise; without the word there are none
            rng, seconds = np.random.default_rng(1), _REVERBERATION_SECONDS
            return augment.reverberate(clean, seconds=seconds, wet_db=-snr_db, rng=rng), None
        n_room = round(_ROOM_SECONDS * audio.SAMPLE_RATE)
        room, meanwhile = self._noises[noise][:n_room], self._noises[noise][n_room:]
        meanwhile = signals.fit_length(meanwhile, clean)
        gain_db = signals.speech_level_db(clean) - snr_db - audio.level_db(meanwhile)
        gain = np.float32(10 ** (gain_db / 20))
        return clean + gain * meanwhile, gain * room

    def build(self, figure: Figure, result: Denoised) -> list[Artist]:
        """Draw the word in noise and after the remedy, each beside the machine's probabilities."""
        grid = figure.add_gridspec(2, 2, width_ratios=(3, 2))
        self._pictures = [figure.add_subplot(grid[row, 0]) for row in (0, 1)]
        self._bars = [figure.add_subplot(grid[row, 1]) for row in (0, 1)]
        labels = list(result.heard_before.probabilities)
        for axes, sound in zip(self._pictures, (result.noisy, result.cleaned), strict=True):
            _prepare_picture(axes, sound)
        for axes in self._bars:
            _prepare_bars(axes, labels)
        for axes in (self._pictures[0], self._bars[0]):
            axes.set_xlabel("")
        titles = ("in noise", "after the remedy", "heard in noise", "heard after the remedy")
        for axes, title in zip((*self._pictures, *self._bars), titles, strict=True):
            axes.set_title(title, loc="left", fontsize=10)
        moving = [axes.images[0] for axes in self._pictures]
        return [*moving, *(artist for axes in self._bars for artist in (axes.collections[0], axes.texts[0]))]

    def draw(self, result: Denoised) -> None:
        """Move the two pictures and the bars."""
        for axes, sound in zip(self._pictures, (result.noisy, result.cleaned), strict=True):
            picture = plots.spectrogram_db(sound)
            _move_picture(axes, picture, len(sound), loudest=float(picture.max()))
        for axes, heard in zip(self._bars, (result.heard_before, result.heard_after), strict=True):
            _move_bars(axes, list(heard.probabilities.values()))

    def describe(self, result: Denoised) -> str:
        """Say what the remedy gained, and what the machine wrote before and after."""
        gained = f"{result.gained_db:+.1f} dB".replace("-", "\N{MINUS SIGN}")
        before = f"The machine before: {_verdict(result.heard_before, result.expected)}"
        after = f"And after: {_verdict(result.heard_after, result.expected)}"
        return f"The remedy changes the signal-to-noise ratio by {gained}. {before} {after}"

    def sound(self, result: Denoised) -> np.ndarray:
        """Return what the remedy left."""
        return audio.peak_limit(result.cleaned)


# -- what both share -------------------------------------------------------------------------------------


def _named(sounds: dict[str, np.ndarray] | Iterable[Clip]) -> dict[str, tuple[np.ndarray, str]]:
    """Return the sounds by name, each with what is said in it."""
    if isinstance(sounds, dict):
        named = {name: (audio.check(samples), "") for name, samples in sounds.items()}
    else:
        named = {f"{clip.label} · {clip.speaker}": (clip.samples, clip.label) for clip in sounds}
    if not named:
        raise ValueError("There is no sound to explore. Pass clips, or {name: samples}.")
    return named


def _apply_remedy(remedy: str, noisy: np.ndarray, room: np.ndarray | None) -> np.ndarray:
    """Apply one of REMEDIES; `room` is a second of the noise alone, or None."""
    remedies: dict[str, Callable[[], np.ndarray]] = {
        "none": lambda: noisy,
        "high-pass 200 Hz": lambda: filters.apply(
            filters.butterworth("highpass", 200.0), noisy, zero_phase=True
        ),
        "notches 50 to 400 Hz": lambda: _without_hum(noisy),
        "spectral subtraction": lambda: filters.spectral_subtraction(noisy, noise=room),
        "Wiener gate": lambda: filters.wiener(noisy, noise=room),
    }
    return np.asarray(remedies[remedy](), np.float32)


def _without_hum(samples: np.ndarray) -> np.ndarray:
    for hertz in range(50, 401, 50):
        # As wide for each partial, so that all die away equally fast: 10 Hz, about 30 ms.
        samples = filters.apply(filters.notch(float(hertz), q=hertz / 10), samples, zero_phase=True)
    return samples


def _prepare_picture(axes: Axes, sound: np.ndarray) -> None:
    """Draw a spectrogram whose limits stay: axes whose limits change are drawn anew, which takes long."""
    plots.sound_spectrogram(sound, ax=axes)
    axes.set_facecolor("black")
    axes.set_autoscale_on(False)


def _move_picture(axes: Axes, picture: np.ndarray, n_samples: int, *, loudest: float) -> None:
    image = axes.images[0]
    # Colours, not numbers: Matplotlib would resample the numbers first, and then colour many more of them.
    # And few of them, since a picture of noise is hard to compress.
    shares = np.round((picture.T - (loudest - _SHOWN_DB)) * (_N_COLORS / _SHOWN_DB)) / _N_COLORS
    image.set_data(image.cmap(np.clip(shares, 0, 1), bytes=True))
    seconds, step = n_samples / audio.SAMPLE_RATE, 0.008
    image.set_extent((-step / 2, (len(picture) - 0.5) * step, 0, audio.SAMPLE_RATE / 2000))
    set_limits(axes, x=(0.0, max(1.0, float(np.ceil(2 * seconds)) / 2)))


def _prepare_bars(axes: Axes, labels: Sequence[str]) -> None:
    """Draw a probability chart whose bars are one artist, and so quick to move."""
    plots.probabilities(np.full(len(labels), 1 / len(labels)), labels=labels, ax=axes)
    axes.get_xticklabels()[0].set_fontweight("normal")
    for artist in (*axes.patches, *axes.texts):
        artist.remove()
    axes.vlines(range(len(labels)), 0, 1, linewidths=13)
    ink = axes.yaxis.label.get_color()
    axes.text(0, 1, "", ha="center", va="bottom", fontweight="bold", color=ink)
    axes.set_autoscale_on(False)


def _move_bars(axes: Axes, values: Sequence[float]) -> None:
    winner, bars, text = int(np.argmax(values)), axes.collections[0], axes.texts[0]
    bars.set_segments([((i, 0), (i, value)) for i, value in enumerate(values)])
    bars.set_color([plots.COLORS["vermillion"] if i == winner else _QUIET_BAR for i in range(len(values))])
    text.set_position((winner, values[winner] + 0.02))
    text.set_text(f"{100 * values[winner]:.0f} %")


def _gain_at(result: Filtered, hertz: float) -> str:
    gain = result.passes * float(np.interp(hertz, result.response.frequencies, result.response.gain_db))
    return f"{gain:.1f}".replace("-", "\N{MINUS SIGN}")


def _heard_frequency(result: Filtered) -> float:
    """Choose a frequency that the filter lets through: of 500 Hz, 1, 2 and 5 kHz and 100 Hz the loudest."""
    candidates = np.array([500.0, 1000.0, 2000.0, 5000.0, 100.0])
    gains = np.interp(candidates, result.response.frequencies, result.response.gain_db)
    return float(candidates[int(np.argmax(np.round(gains)))])


def _products(designed: filters.Filter) -> int:
    """Count the multiplications for each sample; a section with feedback takes five."""
    return len(designed.taps) if isinstance(designed, filters.Fir) else 5 * len(designed.sos)


def _verdict(transcript: Transcript, expected: str) -> str:
    answer = f"it writes {transcript.text}, {100 * transcript.probability:.0f} % sure"
    if not expected:
        return f"{answer}."
    return f"{answer}: {'right' if transcript.text == expected else f'wrong, it was {expected}'}."
