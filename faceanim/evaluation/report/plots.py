"""Plots as inline SVG, with the page's fonts and colors in both its light and its dark scheme."""

import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from faceanim.evaluation.report.labels import METHOD_COLORS, METHOD_LABELS
from faceanim.evaluation.report.read import Curve
from faceanim.evaluation.statistics import Interval

INK = "#010203"
"""Placeholder for the page's text color, which is only known when the page is displayed."""
STYLE = {
    "svg.fonttype": "none",
    "font.size": 8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "text.parse_math": False,
}
WIDTH = 3.5
"""Width of a small plot, in inches; the page scales it."""
LOG_SCALE_RATIO = 20
"""Ratio of largest to smallest value above which a curve is drawn on a logarithmic scale."""
LABEL_GAP = 0.8
"""Smallest gap between two labels of an axis, in font sizes; the page's font may be the wider one."""
LANE_FRACTION = 0.56
"""Fraction of a method's band that the lanes of people span."""
BAND_FRACTION = 0.75
"""Fraction of a region's band that the lanes of methods span."""


@dataclass(frozen=True)
class Strip:
    """A method's band in a strip plot.

    Attributes:
        method: a `MethodName` or REFERENCE.
        people: for each person, the values of the clips.
        mean: mean over all clips.
    """

    method: str
    people: list[list[float]]
    mean: Interval


@dataclass(frozen=True)
class Band:
    """A row of a plot that compares methods.

    Attributes:
        label: label of the row.
        means: mean of each method, a `MethodName` or REFERENCE, over all clips.
    """

    label: str
    means: Mapping[str, Interval]


def draw_bands(name: str, description: str, bands: Sequence[Band]) -> str:
    """Draw means with their intervals: a band per region, a lane per method.

    Args:
        name: name of the plot, unique on the page.
        description: text alternative for screen readers.
        bands: bands from top to bottom.
    """
    with mpl.rc_context(STYLE):
        lanes = max(len(band.means) for band in bands)
        figure = Figure(figsize=(2 * WIDTH, 0.45 + 0.09 * (lanes + 1) * len(bands)), layout="constrained")
        axes = figure.subplots()
        for number, band in enumerate(bands):
            for lane, (method, mean) in enumerate(band.means.items()):
                color, _ = METHOD_COLORS[method]
                height = number + BAND_FRACTION * ((lane + 0.5) / lanes - 0.5)
                axes.plot([mean.low, mean.high], [height, height], color=color, lw=1.2, alpha=0.6)
                axes.plot(mean.mean, height, "D", ms=4, mfc=color, mec=INK, mew=0.5)
        axes.set_yticks(range(len(bands)), [band.label for band in bands])
        axes.set_ylim(len(bands) - 0.5, -0.5)
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=INK, alpha=0.12, lw=0.5)
        for number in range(1, len(bands)):
            axes.axhline(number - 0.5, color=INK, alpha=0.12, lw=0.5)
        return to_svg(figure, name, description)


def draw_strips(name: str, description: str, strips: Sequence[Strip]) -> str:
    """Draw the values of all clips, and the mean with its interval: a band per method, a lane per person.

    Args:
        name: name of the plot, unique on the page.
        description: text alternative for screen readers.
        strips: bands from top to bottom.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 0.45 + 0.36 * len(strips)), layout="constrained")
        axes = figure.subplots()
        for band, strip in enumerate(strips):
            color, _ = METHOD_COLORS[strip.method]
            lanes = (
                np.linspace(-LANE_FRACTION / 2, LANE_FRACTION / 2, len(strip.people))
                if len(strip.people) > 1
                else [0.0]
            )
            for lane, values in zip(lanes, strip.people, strict=True):
                axes.plot(values, [band + lane] * len(values), "o", ms=3.2, mew=0, color=color, alpha=0.55)
            axes.plot([strip.mean.low, strip.mean.high], [band, band], color=color, lw=1.8)
            axes.plot(strip.mean.mean, band, "D", ms=5, mfc=color, mec=INK, mew=0.6)
        axes.set_yticks(range(len(strips)), [METHOD_LABELS[strip.method] for strip in strips])
        axes.set_ylim(len(strips) - 0.5, -0.5)
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=INK, alpha=0.12, lw=0.5)
        return to_svg(figure, name, description)


def draw_frames(name: str, description: str, lines: Sequence[tuple[str, list[tuple[int, float]]]]) -> str:
    """Draw a metric over the frames of a clip, one line per method: (method, [(frame, value), ...])."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(2.4 * WIDTH, 1.25), layout="constrained")
        axes = figure.subplots()
        for method, points in reversed(lines):  # the evaluated method, which is first, on top
            axes.plot(*zip(*points, strict=True), color=METHOD_COLORS[method][0], lw=1.2, marker="o", ms=1.2)
        axes.set_xlabel("frame")
        axes.margins(x=0.01)
        axes.grid(axis="y", color=INK, alpha=0.12, lw=0.5)
        return to_svg(figure, name, description)


def draw_curve(name: str, description: str, curve: Curve) -> str:
    """Draw a column of a training history, with the steps at which a new phase starts."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 1.5), layout="constrained")
        axes = figure.subplots()
        axes.plot(*zip(*curve.points, strict=True), color=METHOD_COLORS["prediction"][0], lw=1.2)
        values = [value for _, value in curve.points]
        if 0 < LOG_SCALE_RATIO * min(values) < max(values):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter(NullFormatter())
        for step, phase in curve.switches:
            axes.axvline(step, color=INK, lw=0.7, ls=(0, (3, 2)))
            axes.text(
                step, 1.0, f" {phase}", transform=axes.get_xaxis_transform(), va="top", size=7, clip_on=True
            )
        axes.set_xlabel("step")
        axes.margins(x=0.02)
        axes.grid(axis="y", color=INK, alpha=0.12, lw=0.5)
        return to_svg(figure, name, description)


def draw_pitfalls(name: str, description: str, variants: Sequence[tuple[str, float]]) -> str:
    """Draw how far each variant of a metric deviates from the first, which is the protocol's."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.3 * WIDTH, 0.4 + 0.24 * len(variants)), layout="constrained")
        axes = figure.subplots()
        pinned = variants[0][1]
        axes.axvline(pinned, color=METHOD_COLORS["prediction"][0], lw=1)
        for row, (_, value) in enumerate(variants):
            color = METHOD_COLORS["super_resolved" if row else "prediction"][0]
            axes.plot([pinned, value], [row, row], color=color, lw=1.4)
            axes.plot(value, row, "o", ms=5, color=color)
        axes.set_yticks(range(len(variants)), [variant for variant, _ in variants])
        axes.set_ylim(len(variants) - 0.5, -0.5)
        axes.tick_params(left=False)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x", color=INK, alpha=0.12, lw=0.5)
        return to_svg(figure, name, description)


def spread_labels(figure: Figure, axes: Axes) -> None:
    """Reduce the ticks of the x-axis until no two labels touch: few long labels fit where short ones do."""
    gap = LABEL_GAP * mpl.rcParams["font.size"] * figure.dpi / 72
    for ticks in range(len(axes.get_xticks()) - 1, 0, -1):
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_text()]
        if all(right.x0 - left.x1 >= gap for left, right in pairwise(boxes)):
            return
        axes.xaxis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10], min_n_ticks=1))


def to_svg(figure: Figure, name: str, description: str) -> str:
    """Convert a figure to an SVG element; the same figure gives the same bytes."""
    for axes in figure.axes:
        spread_labels(figure, axes)
    buffer = io.StringIO()
    # The salt determines the element ids, which must be unique on the page.
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    drawn = buffer.getvalue()
    body = drawn[drawn.index("<svg") :].partition(">")[2]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r'<g id="[^"]*"', "<g", body)  # ids such as axes_1 occur in every plot
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", body)
    body = body.replace(INK, "currentColor")
    for method, (light, _) in METHOD_COLORS.items():
        body = body.replace(light, f"var(--{method})")
    width, height = 72 * figure.get_size_inches()
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{html.escape(description)}">{body}'
    )
