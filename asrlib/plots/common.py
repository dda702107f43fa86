"""What all figures share: the palette, the looks for light and dark pages, and the words beside each figure.

A figure begins with `prepared`, takes its colours from `look`, and ends with `describe`.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = [
    "COLORS",
    "LOOKS",
    "Look",
    "add_colorbar",
    "alt_text",
    "describe",
    "empty_figure",
    "look",
    "minus",
    "one",
    "prepared",
    "settings",
    "style",
]

COLORS = {
    "blue": "#0072B2",
    "vermillion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "sky": "#56B4E9",
    "orange": "#E69F00",
}
"""The palette of M. Okabe and K. Ito (https://jfly.uni-koeln.de/color/), less black and yellow."""

_ON_WHITE = tuple(COLORS[name] for name in ("blue", "vermillion", "green", "purple"))
_ON_BLACK = tuple(COLORS[name] for name in ("sky", "orange", "green", "purple"))


@dataclass(frozen=True)
class Look:
    """The colours of one theme: background, text, lines in the background, curves in their order."""

    face: str
    ink: str
    quiet: str
    colors: tuple[str, ...]

    @property
    def main(self) -> str:
        return self.colors[0]

    @property
    def strong(self) -> str:
        return self.colors[1]


# Contrast of the text with its face: 16 on "light", 14 on "dark". No grey reaches 4.5 on white and on #111 at
# once, 4.3 is the most there is; so only "clear" goes without a face of its own.
LOOKS = {
    "light": Look(face="#ffffff", ink="#222222", quiet="#8c8c8c", colors=_ON_WHITE),
    "dark": Look(face="#111111", ink="#dddddd", quiet="#808080", colors=_ON_BLACK),
    "clear": Look(face="none", ink="#797979", quiet="#797979", colors=_ON_WHITE),
}
_current_look = LOOKS["light"]
_descriptions: weakref.WeakKeyDictionary[Axes | Figure, str] = weakref.WeakKeyDictionary()


def style(theme: str = "light") -> None:
    """Set the look of the figures of `asrlib.plots` and of your own in the same notebook.

    Parameters
    ----------
    theme : {"light", "dark", "clear"}
        "light" draws on white and "dark" on near-black; both are readable wherever they are shown. "clear"
        has no background and mid-grey text, which is readable, though fainter, on light and on dark pages.

    Raises
    ------
    ValueError
        When the theme is unknown.

    Examples
    --------
    >>> style("light")

    Lesson: 00
    """
    global _current_look
    if theme not in LOOKS:
        raise ValueError(f"theme is {theme!r}; it must be one of {', '.join(LOOKS)}.")
    _current_look = LOOKS[theme]
    mpl.rcParams.update(settings())


def alt_text(drawn: Axes | Figure) -> str:
    """Describe a figure of `asrlib.plots` in a sentence or two, for readers who cannot see it.

    Parameters
    ----------
    drawn : Axes or Figure
        What a function of `asrlib.plots` returned.

    Returns
    -------
    str
        The description.

    Raises
    ------
    ValueError
        When no function of `asrlib.plots` drew it.

    Examples
    --------
    >>> from asrlib.plots import waveform
    >>> alt_text(waveform(np.zeros(8000, np.float32) + 0.25))
    'Waveform of 0.50 seconds; its largest amplitude is 0.25.'

    Lesson: 00
    """
    description = _descriptions.get(drawn)
    if description is None:
        raise ValueError("There is no description of this figure: asrlib.plots did not draw it.")
    return description


def look() -> Look:
    """Return the colours of the theme that `style` chose."""
    return _current_look


def settings() -> dict[str, Any]:
    """Return Matplotlib's settings for the present theme, for `matplotlib.rc_context`."""
    look = _current_look
    return {
        "figure.facecolor": look.face,
        "savefig.facecolor": look.face,
        "axes.facecolor": "none",
        "figure.dpi": 110,
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 10,
        "text.color": look.ink,
        "axes.labelcolor": look.ink,
        "axes.titlecolor": look.ink,
        "axes.edgecolor": look.quiet,
        "xtick.color": look.quiet,
        "ytick.color": look.quiet,
        "xtick.labelcolor": look.ink,
        "ytick.labelcolor": look.ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": mpl.cycler(color=look.colors),
        "legend.frameon": False,
        "lines.linewidth": 1.6,
    }


def prepared(ax: Axes | None, *, size: tuple[float, float]) -> Axes:
    """Give axes in the present look: new ones of this size in inches, or the caller's, dressed alike."""
    if ax is None:
        with mpl.rc_context(settings()):
            return plt.subplots(figsize=size, layout="constrained")[1]
    look = _current_look
    ax.set_facecolor("none")
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(look.quiet)
    ax.tick_params(color=look.quiet, labelcolor=look.ink)
    for text in (ax.xaxis.label, ax.yaxis.label, ax.title):
        text.set_color(look.ink)
    return ax


def empty_figure(figure: Figure | None, *, size: tuple[float, float]) -> Figure:
    """Give a figure to draw into: a new one, or the caller's, cleared."""
    if figure is None:
        return plt.figure(figsize=size)
    figure.clear()
    figure.set_facecolor(_current_look.face)
    return figure


def describe(drawn: Axes | Figure, description: str, *, add: bool = False) -> None:
    """Keep what `alt_text` will say; with ``add``, after what was said of it before."""
    before = _descriptions.get(drawn) if add else None
    _descriptions[drawn] = f"{before} {description}" if before else description


def one(array: np.ndarray, name: str, *, ndim: int, shape: str) -> np.ndarray:
    """Return the array of one recording; refuse a batch, a scalar and nothing."""
    array = np.asarray(array)
    if array.ndim != ndim or array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}; expected {shape} of a single recording, not empty."
        )
    return array


def minus(number: float) -> str:
    """Write a number with a true minus sign."""
    return f"{number:g}".replace("-", "\N{MINUS SIGN}")


def add_colorbar(image: Any, ax: Axes, label: str) -> None:
    """Add the scale of an image's colours at the right of its axes."""
    bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=18)
    bar.outline.set_visible(False)
    bar.ax.tick_params(color=_current_look.quiet, labelcolor=_current_look.ink)
    bar.set_label(label, color=_current_look.ink)
