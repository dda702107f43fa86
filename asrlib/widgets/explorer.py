"""The base of every explorer: controls on top, a picture that follows them, an answer in words, a sound.

An explorer is four small methods. `controls` says what can be turned, `compute` turns values into a result
and knows nothing of widgets, `build` draws the first result and names the artists that move, `draw` moves
them. How controls look stands in `controls`, how a picture is drawn quickly in `picture`, how all of it comes
on the page in `view`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from asrlib.widgets.controls import choice, slider, steps, switch, value_of
from asrlib.widgets.picture import Picture, encode_png, set_limits
from asrlib.widgets.view import View

__all__ = ["Explorer", "Still", "choice", "set_limits", "slider", "steps", "switch"]

# Values that arrive within this time are drawn once. The kernel needs it to read the messages that wait.
_GATHER_SECONDS = 0.005
# A control that rested this long has been let go, so the player may change under the listener.
_REST_SECONDS = 0.4


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
    >>> from asrlib import signals
    >>> class Tone(Explorer):
    ...     def controls(self):
    ...         return {"frequency": slider("frequency", 440, low=50, high=2000, step=10, unit="Hz")}
    ...     def compute(self, *, frequency):
    ...         return signals.sine(frequency, seconds=0.02)
    ...     def build(self, figure, result):
    ...         (self.line,) = figure.subplots().plot(result)
    ...         return [self.line]
    ...     def draw(self, result):
    ...         self.line.set_ydata(result)
    >>> tone = Tone()
    >>> tone.values
    {'frequency': 440.0}
    >>> still = tone.still(frequency=100)      # in a notebook, the picture
    >>> still.result.shape
    (320,)

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
        # Two underscores: a subclass may call what it keeps `_image` or `_start` and disturbs nothing.
        self.__inputs = self.controls()
        self.__start = self.values
        self.__picture: Picture | None = None
        self.__view: View | None = None
        self.__result: Any = None
        self.__error: Exception | None = None
        self.__renders = 0
        self.__held = False  # while several controls are turned from Python
        # The loop on which a drawing is due; it will show the values of that moment.
        self.__pending: asyncio.AbstractEventLoop | None = None
        # JupyterLab lets the kernel answer widgets in another thread than cells; a figure stands only one.
        self.__lock = threading.RLock()

    inputs = property(lambda self: self.__inputs, doc="The controls by name.")
    result = property(lambda self: self.__result, doc="What `compute` gave for what is shown.")
    error = property(lambda self: self.__error, doc="What went wrong at the last change, or None.")
    renders = property(lambda self: self.__renders, doc="How many pictures have been drawn.")
    picture = property(lambda self: self.__picture, doc="The figure and what moves in it.")

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
        self.__refuse_unknown(values)
        with self.held():
            for name, value in values.items():
                self.inputs[name].value = value

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Turn several controls within this block, and draw once at its end."""
        self.__held = True
        try:
            yield
        finally:
            self.__held = False
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
        self.__refuse_unknown(values)
        with self.__lock:
            result = self.compute(**{**self.values, **values})
            return Still(self.__drawn(result), self.describe(result), result)

    def show(self) -> None:
        """Display the explorer from within a loop or a function; a cell's last line displays it by itself."""
        display(self)

    def refresh(self) -> None:
        """Compute and draw the present values. A failure is shown in the explorer and kept in `error`."""
        with self.__lock:
            self.__pending = None
            if self.__view is None:
                return
            try:
                self.__result = self.compute(**self.values)
                self.__view.show(self.__drawn(self.__result), self.describe(self.__result))
                self.__error = None
            except Exception as error:  # whatever it is, the learner must see it: a comm's errors go to a log
                self.__error = error
                self.__view.show_trouble(error)
                return
            self.__offer_sound_at_rest()

    @property
    def widget(self) -> View:
        """The explorer as a widget, made on first use."""
        if self.__view is None:
            self.__view = View(self.inputs.values(), reset=lambda: self.set(**self.__start))
            self.refresh()
            for control in self.inputs.values():
                control.observe(self.__value_changed, names="value")
        return self.__view

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """Show the widget, and the picture wherever a stored notebook is read without a kernel."""
        bundle = dict(self.widget._repr_mimebundle_(**options))
        bundle["text/plain"] = "" if self.error else self.describe(self.result)
        bundle["image/png"] = base64.b64encode(self.widget.image.value).decode()
        return bundle

    # -- how it works ----------------------------------------------------------------------------------------

    def __value_changed(self, _: Mapping[str, Any]) -> None:
        """Draw soon, once for all values that change until then: the last one wins."""
        if self.__held:
            return
        loop = _running_loop()
        if loop is None:
            self.refresh()
        elif self.__pending is not loop:
            self.__pending = loop
            loop.call_later(_GATHER_SECONDS, self.refresh)

    def __drawn(self, result: Any) -> bytes:
        """Draw a result and return it as PNG."""
        if self.__picture is None:
            picture = Picture(self.size, dpi=self.dpi)
            picture.let_move(self.build(picture.figure, result))
            self.__picture = picture
        self.draw(result)
        self.__renders += 1
        return encode_png(self.__picture.pixels())

    def __offer_sound_at_rest(self) -> None:
        """Give the player the new sound when the controls have rested: a hand on a slider makes no noise."""
        loop = _running_loop()
        if loop is None or not self.__view.has_sound:
            self.__offer_sound(self.result)
        else:
            loop.call_later(_REST_SECONDS, self.__offer_sound, self.result)

    def __offer_sound(self, result: Any) -> None:
        if result is self.result:  # else the controls moved on
            self.__view.offer_sound(self.sound(result))

    def __refuse_unknown(self, values: Mapping[str, Any]) -> None:
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
