"""What an explorer puts on the page: its controls in rows, then trouble, picture, answer, player."""

from __future__ import annotations

import html
import traceback
from collections.abc import Callable, Iterable

import anywidget
import ipywidgets
import numpy as np

from asrlib.widgets.picture import encode_wav

__all__ = ["View"]


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


class View(ipywidgets.VBox):
    """The page's side of an explorer.

    Parameters
    ----------
    controls : iterable of ipywidgets.Widget
        What can be turned, in the order of the Tab key.
    reset : callable
        Called when the Reset button is pressed.

    Examples
    --------
    >>> view = View([], reset=lambda: None)
    >>> view.show(b"", "Louder & clearer.")
    >>> "Louder &amp; clearer." in view.answer.value
    True

    Lesson: 00
    """

    def __init__(self, controls: Iterable[ipywidgets.Widget], *, reset: Callable[[], None]) -> None:
        self.trouble = ipywidgets.HTML()
        # In its own size: stretched to the page, its letters would blur.
        layout = {"max_width": "100%", "object_fit": "contain", "align_self": "flex-start"}
        self.image = ipywidgets.Image(format="png", layout=layout)
        self.answer = ipywidgets.HTML()
        self.player = ipywidgets.Audio(autoplay=False, loop=False, format="wav", layout={"display": "none"})
        self.player.value = encode_wav(np.zeros(1))  # browsers report an error for a player of nothing
        button = ipywidgets.Button(
            description="Reset", tooltip="Put every control back", layout={"width": "70px"}
        )
        button.on_click(lambda _: reset())
        row = ipywidgets.HBox([*controls, button], layout={"flex_flow": "row wrap"})
        super().__init__([row, self.trouble, self.image, self.answer, self.player, _Keys()])
        self.add_class("asr-explorer")

    def show(self, png: bytes, text: str) -> None:
        """Show a picture and its answer; trouble is over."""
        self.image.value = png
        self.answer.value = f'<div style="font-size: 115%; line-height: 1.5">{html.escape(text)}</div>'
        self.trouble.value = ""

    def show_trouble(self, error: Exception) -> None:
        """Show an error as a learner needs it: what happened first, where on demand."""
        where = html.escape("".join(traceback.format_exception(error)))
        self.trouble.value = (
            '<div style="color: var(--jp-error-color1, #b00020); line-height: 1.4">'
            f"<b>{type(error).__name__}</b>: {html.escape(str(error))}<br>"
            "The picture shows the last values that worked."
            f"<details><summary>Where it happened</summary><pre>{where}</pre></details></div>"
        )

    @property
    def has_sound(self) -> bool:
        """Whether the player is on the page."""
        return self.player.layout.display != "none"

    def offer_sound(self, samples: np.ndarray | None) -> None:
        """Give the player a sound at 16 kHz, or hide it when there is none."""
        self.player.layout.display = "none" if samples is None else None
        if samples is not None:
            self.player.value = encode_wav(samples)
