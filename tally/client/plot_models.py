"""Pictures of models and components; they need the `plot` extra."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tally.client.plot import Picture, drawing
from tally.client.results.components import Pca
from tally.client.results.models import INTERCEPT, ModelInfo
from tally.errors import InvalidInput

_MOST_ROWS = 60  # of a picture that can still be read
_LINES = tuple(
    f"tab:{name}"
    for name in ["blue", "orange", "green", "red", "purple", "brown", "pink", "olive", "cyan"]
)  # as many as can be told apart
_BLUE, _GREY = "tab:blue", "0.75"
_HEADS = {"coefficient": "coefficient", "scores": "t value"}


def draw_coefficients(info: ModelInfo, column: str = "coefficient") -> Picture:
    """Return the coefficients of a model as points, with their intervals where they are known.

    The intercept is left out: it is no effect of an input. Of more than 60 inputs those with the
    largest t values (or coefficients, where there are no t values) are drawn.

    Args:
        info: of the model.
        column: of its coefficients.

    Raises:
        InvalidInput: there are no such coefficients.
        AlgorithmUnavailable: matplotlib is not installed.
    """
    found = info.coefficients
    if found is None or column not in found.columns:
        has = "none" if found is None else ", ".join(found.columns)
        raise InvalidInput("column", f"model {info.id} has no {column!r}; it has {has}")
    names = [name for name in found.names if name != INTERCEPT or name in _names(info)]
    values = found.of(column)
    shown = _largest(names, found.of("scores") if "scores" in found.columns else values)
    places = range(len(shown))
    figure, axes = drawing(8, 1.3 + 0.27 * max(len(shown), 3))
    certain: list[bool] | None = None
    if column == "coefficient" and "ci.low" in found.columns:
        low, high = found.of("ci.low"), found.of("ci.high")
        axes.hlines(
            places, [low[n] for n in shown], [high[n] for n in shown], color=_BLUE, linewidth=1.8
        )
        certain = [not low[name] <= 0 <= high[name] for name in shown]
    faces = [_BLUE if sure else "white" for sure in certain or [True] * len(shown)]
    points = [values[name] for name in shown]
    axes.scatter(points, places, s=30, facecolors=faces, edgecolors=_BLUE, zorder=3)
    axes.axvline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_yticks(places, shown)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(axis="y", color="0.93")
    axes.set_axisbelow(True)
    aim = ", ".join(info.targets)
    if column == "coefficient" and aim:
        axes.set_xlabel(_units(info, aim))
    else:
        axes.set_xlabel(_HEADS.get(column, f"coefficient for {column}"))
    figure.suptitle(_title(info, len(shown), len(names), certain), x=0.01, ha="left", fontsize=11)
    return Picture(figure)


def draw_path(info: ModelInfo) -> Picture:
    """Return how the coefficients of a penalised regression shrink as the penalty grows.

    Raises:
        InvalidInput: the model was not built with `aicc`, or keeps no path.
        AlgorithmUnavailable: matplotlib is not installed.
    """
    path, penalties = info.tables.get("path"), info.tables.get("path_lambda")
    if path is None or penalties is None:
        raise InvalidInput(
            "path",
            f"model {info.id} of {info.type} keeps none; build a ridge, lasso or elasticnet with "
            "aicc=true, of no more than 20000 penalties times inputs",
        )
    along = [float(x or 0) for x in penalties["lambda"]]
    lines = {name: [float(x or 0) for x in column] for name, column in path.items()}
    ranked = sorted(lines, key=lambda name: -max(map(abs, lines[name])))
    named = ranked[: len(_LINES)]
    figure, axes = drawing(9, 4.5)
    for name in ranked[len(_LINES) :]:
        axes.plot(along, lines[name], color=_GREY, linewidth=0.8)
    # In the order in which they end on the left, as the eye finds them.
    ending = sorted(named, key=lambda name: -lines[name][-1])
    for name, color in zip(ending, _LINES, strict=False):
        axes.plot(along, lines[name], color=color, linewidth=1.8, label=name)
    low, high = _span(along, list(lines.values()))
    _mark(axes, info.number("lambda"), low, high)
    axes.axhline(0, color="0.6", linewidth=0.8, zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xlabel("penalty λ (logarithmic)")
    per = "standard deviation" if info.info.get("standardize") != "false" else "unit"
    axes.margins(y=0.12)
    axes.set_ylabel(f"coefficient per {per} of the input")
    title = f"{info.id}: {info.type} path of {', '.join(info.targets)}"
    axes.set_title(title, loc="left", fontsize=11)
    more = len(ranked) - len(named)
    heading = f"largest {len(named)} of {len(ranked)}" if more else None
    figure.legend(
        *axes.get_legend_handles_labels(),
        frameon=False,
        loc="outside right upper",
        title=heading,
        alignment="left",
    )
    return Picture(figure)


def draw_scree(found: Pca, title: str) -> Picture:
    """Return what share each component explains, and all up to it.

    Args:
        found: the components.
        title: whose they are.

    Raises:
        AlgorithmUnavailable: matplotlib is not installed.
    """
    shares = [100 * share for share in found.shares]
    numbers = list(range(1, len(shares) + 1))
    sums = [math.fsum(shares[:number]) for number in numbers]
    figure, axes = drawing()
    axes.bar(numbers, shares, color=_BLUE, width=0.7, label="this component")
    style = {"color": "0.25", "linewidth": 1.2, "markersize": 4}
    axes.plot(numbers, sums, marker="o", label="this and all before", **style)
    if len(numbers) <= 10:
        for number, share in zip(numbers, shares, strict=True):
            # The first is where the line begins, which goes up to the right.
            side, lift = ("right", 5) if number == 1 else ("center", 2)
            axes.annotate(
                f"{share:.3g} %",
                (number, share),
                xytext=(0, lift),
                textcoords="offset points",
                ha=side,
                fontsize=9,
            )
        axes.set_xticks(numbers)
    else:
        axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlim(0.4, len(numbers) + 0.6)
    axes.set_ylim(0, 105)
    axes.set_xlabel("principal component")
    axes.set_ylabel("explained variance, %")
    axes.set_title(f"{title}: components of {len(found.names)} attributes", loc="left", fontsize=11)
    axes.legend(frameon=False, loc="center right")  # between what falls and what rises
    return Picture(figure)


def _names(info: ModelInfo) -> set[str]:
    return {attribute.name for attribute in info.inputs}


def _largest(names: Sequence[str], sizes: dict[str, float]) -> list[str]:
    """Return the names in their order, but for those beyond what can be read."""

    def size(name: str) -> float:
        return 0.0 if math.isnan(sizes[name]) else abs(sizes[name])

    kept = set(sorted(names, key=size, reverse=True)[:_MOST_ROWS])
    return [name for name in names if name in kept]


def _units(info: ModelInfo, aim: str) -> str:
    """Return what a coefficient says: regressions have an intercept, discriminants have none."""
    found = info.coefficients
    if found is not None and INTERCEPT in found.names:
        return f"change of {aim} per unit of the input"
    return "weight per unit of the input"


def _title(info: ModelInfo, shown: int, of: int, certain: Sequence[bool] | None) -> str:
    parts = [f"{info.id}: {info.type} of {', '.join(info.targets)}"]
    if shown < of:
        parts.append(f"the largest {shown} of {of}")
    if certain is not None:
        level = 100 * (1 - info.number("alpha"))
        held = "" if all(certain) else " (hollow: holds 0)"
        parts.append(f"{level:g} % intervals{held}")
    return ", ".join(parts)


def _mark(axes: Any, chosen: float, low: float, high: float) -> None:
    """Mark the penalty that was chosen, or say on which side of the picture it lies."""
    if math.isnan(chosen):
        return
    place, text, side = chosen, f" chosen: {chosen:.3g}", "left"
    if low <= chosen <= high:
        axes.axvline(chosen, color="0.3", linewidth=1, linestyle="--")
    elif chosen < low:
        place, text = low, f" \N{LEFTWARDS ARROW} chosen: {chosen:.3g}"
    else:
        place, text, side = high, f"chosen: {chosen:.3g} \N{RIGHTWARDS ARROW} ", "right"
    axes.annotate(
        text, (place, 1.0), xycoords=("data", "axes fraction"), va="top", ha=side, fontsize=9
    )


def _span(along: Sequence[float], lines: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the penalties between which something happens, with a decade on each side.

    A search begins where all is 0 and ends where nothing changes any more.
    """
    most = max((abs(x) for line in lines for x in line), default=0.0)
    last = [line[-1] for line in lines]  # penalties descend: as good as none
    moving = [
        penalty
        for place, penalty in enumerate(along)
        if any(
            abs(line[place]) > 1e-3 * most and abs(line[place] - end) > 1e-3 * most
            for line, end in zip(lines, last, strict=True)
        )
    ]
    low, high = min(moving, default=along[-1]), max(moving, default=along[0])
    return max(low / 10, min(along)), min(high * 10, max(along))
