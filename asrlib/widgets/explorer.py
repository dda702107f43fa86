"""The base of every explorer: controls on top, a picture that follows them, an answer in words, a sound.

An explorer is four small methods. `controls` says what can be turned, `compute` turns values into a result
and knows nothing of widgets, `build` draws the first result and names the artists that move, `draw` moves
them. How the controls look stands in `controls`, how the picture is drawn quickly in `picture`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import anywidget
import ipywidgets
import numpy as np
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from asrlib.widgets.controls import choice, slider, steps, switch, value_of
from asrlib.widgets.picture import Picture, encode_png, encode_wav, set_limits

__all__ = ["Explorer", "Still", "choice", "set_limits", "slider", "steps", "switch"]

# Values that arrive within this time are drawn once. The kernel needs it to read the messages that wait.
_GATHER_SECONDS = 0.005
# A control that rested this long has been let go, so the player may change under the listener.
_REST_SECONDS = 0.4


class _Keys(anywidget.AnyWidget):
    """Keeps JupyterLab's shortcuts from the explorer around it; they would take the arrow keys from lists."""

    _esm = """export default { render({ el }) {
        const begin = () => {
            const explorer = el.closest(".asr-explorer");
            if (!explorer) return requestAnimationFrame(begin);  // not on the page yet
            explorer.addEventListener("focusin", ({ target }) => {
                target.dataset.lmSuppressShortcuts = "true";
            });
        };
        begin();
    } }"""


@dataclass(frozen=True, eq=False)
class Still:
    """What an explorer shows for some values, without widgets: a picture, its text, the result behind both.

    Parameters
    ----------
    png : bytes
        The picture.
    text : str
        The answer line.
    result : object
        What `compute` gave.

    Examples
    --------
    >>> Still(b"", "a tone of 440 Hz", None)
    a tone of 440 Hz

    Lesson: 00
    """

    png: bytes
    text: str
    result: Any

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        encoded = base64.b64encode(self.png).decode()
        return {"image/png": encoded, "text/plain": self.text}, {"image/png": {"alt": self.text}}


class Explorer:
    """Controls, a picture that follows them, an answer in words and, where there is one, a sound.

    Subclass it and write `controls`, `compute`, `build` and `draw`; `describe` and `sound` if there is
    something to say and to hear. The last line of a cell shows it; `still` gives the same without widgets.

    Examples
    --------
    >>> class Tone(Explorer):
    ...     size = (6, 2)
    ...     seconds = np.arange(320) / 16_000
    ...     def controls(self):
    ...         return {"frequency": slider("frequency", 440, low=50, high=2000, step=10, unit="Hz")}
    ...     def compute(self, *, frequency):
    ...         return np.sin(2 * np.pi * frequency * self.seconds)
    ...     def build(self, figure, result):
    ...         (self.line,) = figure.subplots().plot(self.seconds, result)
    ...         return [self.line]
    ...     def draw(self, result):
    ...         self.line.set_ydata(result)
    ...     def describe(self, result):
    ...         return f"The largest value is {result.max():.2f}."
    >>> tone = Tone()
    >>> tone.values
    {'frequency': 440.0}
    >>> tone.still(frequency=100)
    The largest value is 1.00.

    Lesson: 00
    """

    size: tuple[float, float] = (8.4, 4.2)
    """Width and height of the picture, in inches at `dpi`."""
    dpi: int = 100

    # -- what a subclass writes ------------------------------------------------------------------------------

    def controls(self) -> dict[str, ipywidgets.Widget]:
        """Return the controls by the names that `compute` gives its parameters."""
        raise NotImplementedError(f"{type(self).__name__} must define controls().")

    def compute(self, **values: Any) -> Any:
        """Turn the values of the controls into a result. Pure: no widget, no figure, no state."""
        raise NotImplementedError(f"{type(self).__name__} must define compute().")

    def build(self, figure: Figure, result: Any) -> list[Artist]:
        """Draw the first result into an empty figure and return the artists that `draw` will change."""
        raise NotImplementedError(f"{type(self).__name__} must define build().")

    def draw(self, result: Any) -> None:
        """Change those artists to show a result. Other things may change too; their axes are drawn anew."""
        raise NotImplementedError(f"{type(self).__name__} must define draw().")

    def describe(self, result: Any) -> str:
        """Say the result in a sentence."""
        return ""

    def sound(self, result: Any) -> np.ndarray | None:
        """Return the result as samples at 16 kHz, or None when there is nothing to hear."""
        return None

    # -- what a lesson uses ----------------------------------------------------------------------------------

    def __init__(self) -> None:
        self.inputs = self.controls()
        self.error: Exception | None = None
        self.result: Any = None
        self.renders = 0
        self._start = self.values
        self._held = False  # while several controls are turned from Python
        self.picture: Picture | None = None
        # The loop on which a drawing is due; it will show the values of that moment.
        self._pending: asyncio.AbstractEventLoop | None = None
        self._changes = 0
        # JupyterLab lets the kernel answer widgets in another thread than cells; a figure stands only one.
        self._lock = threading.RLock()
        self._widget: ipywidgets.VBox | None = None

    @property
    def values(self) -> dict[str, Any]:
        """The values of the controls, by name."""
        return {name: value_of(control) for name, control in self.inputs.items()}

    def set(self, **values: Any) -> None:
        """Turn controls from Python, as a hand would, and draw at once.

        Parameters
        ----------
        **values
            New values by the controls' names.

        Raises
        ------
        ValueError
            When there is no control of that name.
        """
        self._refuse_unknown(values)
        with self.held():
            for name, value in values.items():
                self.inputs[name].value = value

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Turn several controls within this block, and draw once at its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        self.refresh()

    def still(self, **values: Any) -> Still:
        """Compute and draw once, with these values and the controls' own for the others.

        Parameters
        ----------
        **values
            Values by the controls' names. The controls stay as they are.

        Returns
        -------
        Still
            A picture with its text and result, to be shown where no widget can be.

        Raises
        ------
        ValueError
            When there is no control of that name.
        """
        self._refuse_unknown(values)
        with self._lock:
            result = self.compute(**{**self.values, **values})
            return Still(self._drawn(result), self.describe(result), result)

    def show(self) -> None:
        """Display the explorer from within a loop or a function; a cell's last line displays it by itself."""
        display(self)

    def refresh(self) -> None:
        """Compute and draw the present values. A failure is shown in the explorer and kept in `error`."""
        with self._lock:
            self._pending = None
            if self._widget is None:
                return
            try:
                self.result = self.compute(**self.values)
                self._image.value = self._drawn(self.result)
                self._answer.value = _sentence(self.describe(self.result))
            except Exception as error:  # whatever it is, the learner must see it: a comm's errors go to a log
                self.error = error
                self._trouble.value = _trouble(error)
                return
            self.error = None
            self._trouble.value = ""
            self._refresh_sound_at_rest()

    @property
    def widget(self) -> ipywidgets.VBox:
        """The explorer as a widget, made on first use."""
        if self._widget is None:
            self._widget = self._assemble()
            self.refresh()
            for control in self.inputs.values():
                control.observe(self._value_changed, names="value")
        return self._widget

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Show the widget, and the picture wherever a stored notebook is read without a kernel."""
        bundle = dict(self.widget._repr_mimebundle_(**options))
        bundle["text/plain"] = "" if self.error else self.describe(self.result)
        bundle["image/png"] = base64.b64encode(self._image.value).decode()
        return bundle

    # -- how it works ----------------------------------------------------------------------------------------

    def _assemble(self) -> ipywidgets.VBox:
        self._image = ipywidgets.Image(format="png", layout={"max_width": "100%", "object_fit": "contain"})
        self._answer = ipywidgets.HTML()
        self._trouble = ipywidgets.HTML()
        self._player = ipywidgets.Audio(autoplay=False, loop=False, format="wav", layout={"display": "none"})
        reset = ipywidgets.Button(
            description="Reset", tooltip="Put every control back", layout={"width": "70px"}
        )
        reset.on_click(lambda _: self._reset())
        row = ipywidgets.HBox([*self.inputs.values(), reset], layout={"flex_flow": "row wrap"})
        parts = [row, self._trouble, self._image, self._answer, self._player, _Keys()]
        return ipywidgets.VBox(parts).add_class("asr-explorer")

    def _reset(self) -> None:
        self.set(**self._start)

    def _value_changed(self, _: Mapping[str, Any]) -> None:
        """Draw soon, once for all values that change until then: the last one wins."""
        if self._held:
            return
        loop = _running_loop()
        if loop is None:
            self.refresh()
        elif self._pending is not loop:
            self._pending = loop
            loop.call_later(_GATHER_SECONDS, self.refresh)

    def _refresh_sound_at_rest(self) -> None:
        """Give the player the new sound when the controls have rested: a hand on a slider makes no noise."""
        self._changes += 1
        loop = _running_loop()
        if loop is None or self.renders <= 1:
            self._refresh_sound(self._changes)
        else:
            loop.call_later(_REST_SECONDS, self._refresh_sound, self._changes)

    def _refresh_sound(self, change: int) -> None:
        if change != self._changes:  # the controls moved on
            return
        samples = self.sound(self.result)
        self._player.layout.display = "none" if samples is None else None
        if samples is not None:
            self._player.value = encode_wav(samples)

    def _drawn(self, result: Any) -> bytes:
        """Draw a result and return it as PNG."""
        if self.picture is None:
            self.picture = Picture(self.size, dpi=self.dpi)
            self.picture.let_move(self.build(self.picture.figure, result))
        self.draw(result)
        self.renders += 1
        return encode_png(self.picture.pixels())

    def _refuse_unknown(self, values: Mapping[str, Any]) -> None:
        unknown = sorted(set(values) - set(self.inputs))
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no control {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(map(repr, self.inputs))}."
            )


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _sentence(text: str) -> str:
    return f'<div style="font-size: 115%; line-height: 1.5">{html.escape(text)}</div>'


def _trouble(error: Exception) -> str:
    """Show an error as a learner needs it: what happened first, where on demand."""
    where = html.escape("".join(traceback.format_exception(error)))
    return (
        '<div style="color: var(--jp-error-color1, #b00020); line-height: 1.4">'
        f"<b>{type(error).__name__}</b>: {html.escape(str(error))} "
        "The picture shows the last values that worked."
        f"<details><summary>Where it happened</summary><pre>{where}</pre></details></div>"
    )
