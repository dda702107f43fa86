"""A figure that follows a slider: what stands still is drawn once and kept, what moves is drawn on top of it.

Matplotlib takes most of its time for axes: ticks, labels, frames. So each axes is kept as a layer, and drawn
anew only when something in it changed that was not said to move.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import soundfile
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from asrlib import audio

__all__ = ["Picture", "encode_png", "encode_wav", "outline", "set_limits"]


class Picture:
    """A Matplotlib figure, its kept layers, and the artists that move on top of them.

    Parameters
    ----------
    size : (float, float)
        Width and height in inches.
    dpi : int
        Pixels per inch.

    Examples
    --------
    >>> picture = Picture((3, 2), dpi=50)
    >>> (line,) = picture.figure.subplots().plot([0, 1], [0, 1])
    >>> picture.let_move([line])
    >>> picture.pixels().shape
    (100, 150, 4)

    Lesson: 00
    """

    def __init__(self, size: tuple[float, float], *, dpi: int) -> None:
        self.figure = Figure(figsize=size, dpi=dpi, layout="constrained")
        self.canvas = FigureCanvasAgg(self.figure)
        self.moving: list[Artist] = []
        self._layers: dict[Artist, np.ndarray] = {}
        self._background: Any = None

    def let_move(self, artists: Iterable[Artist]) -> None:
        """Name the artists that change every time: Matplotlib leaves them out and `pixels` adds them."""
        self.moving = list(artists)
        for artist in self.moving:
            artist.set_animated(True)

    def pixels(self) -> np.ndarray:
        """Draw what changed; return the whole, (height, width, RGBA). The array lives until the next call."""
        if self._background is None:
            self.canvas.draw()
            # The layout is found once, since it takes longer than the drawing; labels must keep their width.
            self.figure.set_layout_engine("none")
            self._layers.clear()
        if self._redraw_stale_layers():
            self._stack_layers()
        self.canvas.restore_region(self._background)
        for artist in self.moving:
            if artist.axes is None or artist.axes.get_visible():
                self.figure.draw_artist(artist)
        return np.asarray(self.canvas.buffer_rgba())

    def drawn_anew(self) -> np.ndarray:
        """Draw all of it as Matplotlib does, with nothing kept: what tests compare `pixels` with."""
        for artist in self.moving:
            artist.set_animated(False)
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        self.figure.set_canvas(self.canvas)
        self.let_move(self.moving)
        return np.asarray(canvas.buffer_rgba())

    def _still_parts(self) -> list[Artist]:
        """Return the figure's axes and loose texts, in the order in which they cover each other."""
        parts = [part for part in self.figure.get_children() if part is not self.figure.patch]
        return sorted(
            (part for part in parts if part.get_visible() and not part.get_animated()), key=Artist.get_zorder
        )

    def _redraw_stale_layers(self) -> bool:
        """Draw anew each part that Matplotlib reports as changed; return whether there was one.

        Artists that move are not reported: Matplotlib keeps that from the axes of animated ones.
        """
        parts = self._still_parts()
        changed = [part for part in parts if part.stale or part not in self._layers]
        renderer = self.canvas.get_renderer()
        for part in changed:
            renderer.clear()
            part.draw(renderer)
            part.stale = False
            self._layers[part] = np.array(self.canvas.buffer_rgba())
        gone = set(self._layers) - set(parts)
        for part in gone:
            del self._layers[part]
        return bool(changed or gone)

    def _stack_layers(self) -> None:
        renderer = self.canvas.get_renderer()
        renderer.clear()
        self.figure.patch.draw(renderer)
        context = renderer.new_gc()
        for part in self._still_parts():
            renderer.draw_image(context, 0, 0, self._layers[part][::-1])
        self._background = self.canvas.copy_from_bbox(self.figure.bbox)


def set_limits(
    axes: Axes, *, x: tuple[float, float] | None = None, y: tuple[float, float] | None = None
) -> None:
    """Set the limits of axes if they are not these already: axes whose limits were set are drawn anew.

    Parameters
    ----------
    axes : Axes
        Whose limits.
    x, y : (float, float), optional
        The ends of each axis; left out, it stays.

    Examples
    --------
    >>> axes = Figure().subplots()
    >>> set_limits(axes, y=(-1, 1))
    >>> axes.get_ylim() == (-1, 1)
    True

    Lesson: 00
    """
    if x is not None and tuple(axes.get_xlim()) != tuple(x):
        axes.set_xlim(*x)
    if y is not None and tuple(axes.get_ylim()) != tuple(y):
        axes.set_ylim(*y)


def outline(samples: np.ndarray, *, n_points: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Return times and values of a curve that looks like the waveform: the extremes of n_points spans.

    Drawing every sample would take as long as all the rest of a change.

    Parameters
    ----------
    samples : array, shape (n_samples,)
        The sound, at 16 kHz.
    n_points : int
        Spans whose smallest and largest values are kept.

    Returns
    -------
    times, values : arrays, each of shape (2 * n_spans,)
        Times in seconds.

    Examples
    --------
    >>> times, values = outline(np.array([0.0, 1.0, -1.0, 0.5]), n_points=2)
    >>> values.tolist()
    [0.0, 1.0, -1.0, 0.5]

    Lesson: 00
    """
    span = max(1, len(samples) // n_points)
    whole = len(samples) // span * span
    spans = samples[:whole].reshape(-1, span)
    values = np.stack([spans.min(axis=1), spans.max(axis=1)], axis=1).ravel()
    times = np.repeat((np.arange(len(spans)) + 0.5) * span / audio.SAMPLE_RATE, 2)
    return times, values


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode pixels as PNG, quickly.

    Written out because time counts here: without the format's line filters, and with zlib's lightest level, a
    figure takes a third of the time of an ordinary encoder and no more bytes, since most of it is one colour.

    Parameters
    ----------
    pixels : uint8 array, shape (height, width, 4)
        Red, green, blue and opacity.

    Returns
    -------
    bytes
        The file. It has no opacity when every pixel is opaque.

    Examples
    --------
    >>> encode_png(np.zeros((2, 3, 4), np.uint8))[1:4]
    b'PNG'

    Lesson: 00
    """
    height, width, channels = pixels.shape
    if pixels[..., 3].min() == 255:
        channels = 3
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each line begins with its filter: 0, none
    for channel in range(channels):  # one by one: four times as fast as all of them together
        lines[:, 1 + channel :: channels] = pixels[..., channel]
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def encode_wav(samples: np.ndarray) -> bytes:
    """Encode samples at 16 kHz as a WAV file, made softer when they exceed full scale.

    Parameters
    ----------
    samples : float array, shape (n_samples,)
        The sound.

    Returns
    -------
    bytes
        The file, 16 bit.

    Examples
    --------
    >>> encode_wav(np.zeros(160))[:4]
    b'RIFF'

    Lesson: 00
    """
    buffer = io.BytesIO()
    soundfile.write(buffer, audio.peak_limit(samples), audio.SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
