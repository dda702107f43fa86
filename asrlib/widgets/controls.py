"""The controls of the explorers, each with its name and its unit beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets
import numpy as np

__all__ = ["choice", "slider", "steps", "switch", "value_of"]


def slider(
    label: str, value: float, *, low: float, high: float, step: float, unit: str = ""
) -> ipywidgets.FloatSlider:
    """Make a slider for a number, its unit in the label.

    Parameters
    ----------
    label : str
        What the number is, in a word or two.
    value, low, high, step : float
        Where it starts, its ends, and the distance of one press of an arrow key.
    unit : str
        Such as "Hz"; empty for a number without one.

    Returns
    -------
    ipywidgets.FloatSlider

    Examples
    --------
    >>> slider("frequency", 440, low=50, high=2000, step=10, unit="Hz").description
    'frequency (Hz)'

    Lesson: 00
    """
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    return ipywidgets.FloatSlider(
        value=value,
        min=low,
        max=high,
        step=step,
        readout_format=f".{decimals}f",
        description=f"{label} ({unit})" if unit else label,
        **_look("290px"),
    )


def steps(label: str, options: Sequence[tuple[str, Any]], *, value: Any) -> ipywidgets.SelectionSlider:
    """Make a slider over named steps, such as "no noise", "30 dB", "20 dB".

    Parameters
    ----------
    label : str
        What is chosen.
    options : sequence of (str, object)
        The name of each step, with its unit, and its value, in order.
    value : object
        The value at the start. It cannot be None, which means "nothing chosen" to the control.

    Returns
    -------
    ipywidgets.SelectionSlider

    Examples
    --------
    >>> steps("noise", [("no noise", np.inf), ("20 dB", 20.0)], value=20.0).label
    '20 dB'

    Lesson: 00
    """
    return ipywidgets.SelectionSlider(options=list(options), value=value, description=label, **_look("340px"))


def choice(label: str, options: Sequence[str], *, value: str | None = None) -> ipywidgets.Dropdown:
    """Make a list to choose one name from.

    Parameters
    ----------
    label : str
        What is chosen.
    options : sequence of str
        The names.
    value : str, optional
        The name at the start; the first when left out.

    Returns
    -------
    ipywidgets.Dropdown

    Examples
    --------
    >>> choice("clip", ["seven", "two"]).value
    'seven'

    Lesson: 00
    """
    options = list(options)
    return ipywidgets.Dropdown(
        options=options, value=options[0] if value is None else value, description=label, **_look("260px")
    )


def switch(label: str, value: bool = False) -> ipywidgets.Checkbox:
    """Make a switch that is on or off.

    Parameters
    ----------
    label : str
        What it switches on.
    value : bool
        Whether it is on at the start.

    Returns
    -------
    ipywidgets.Checkbox

    Examples
    --------
    >>> switch("anti-alias filter", True).value
    True

    Lesson: 01
    """
    return ipywidgets.Checkbox(value=bool(value), description=label, indent=False, **_look("max-content"))


def value_of(control: ipywidgets.ValueWidget) -> Any:
    """Return what a control says, without the rounding of the browser, whose 460 is 459.99999999999994.

    Parameters
    ----------
    control : ipywidgets.ValueWidget
        One of this module's, or another.

    Returns
    -------
    object
        Its value; numbers to nine decimals.

    Examples
    --------
    >>> value_of(slider("frequency", 459.99999999999994, low=50, high=2000, step=10))
    460.0

    Lesson: 00
    """
    return round(control.value, 9) if isinstance(control.value, float) else control.value


def _look(width: str) -> dict[str, Any]:
    return {
        "style": {"description_width": "initial"},
        "layout": {"width": width, "margin": "2px 12px 2px 2px"},
    }
