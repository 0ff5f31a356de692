"""Figure 4: base categories on the ring, targets inside, arc length = coefficient."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from pycirclize import Circos

from neuraldeps.categories import Category
from neuraldeps.figures.style import (
    FAINT,
    HALO,
    INK,
    MUTED,
    NEGATIVE,
    PAPER,
    POSITIVE,
    draw_glyph,
    draw_node,
    sign_color,
    styled,
    wrapped,
)

RING = (82.0, 86.0)
GLYPHS_AT, NAMES_AT, INSIDE, NODE = 90.5, 95.5, 55.0, 5.8
LIMIT = 105.0  # pyCirclize draws radii up to 100 and leaves a margin of 5
GAP = 0.5
LINKED, FREE = (
    0.8,
    0.3,
)  # least widths of sectors that serve a target and of others, in even divisions


@dataclass(frozen=True)
class Chords:
    """Targets as combinations of base categories: `coef` (target, base), 0 where there is none."""

    base: Sequence[Category]
    targets: Sequence[Category]
    coef: np.ndarray


def arrange(coef: np.ndarray) -> np.ndarray:
    """Order of the base categories around the ring: near the targets that they serve.

    Those that serve none are spread evenly between the others.

    Parameters
    ----------
    coef : ndarray, shape (target, base), float64
        Coefficients; 0 is no source.

    Returns
    -------
    ndarray of int64, shape (base,)
        Positions of base categories, in order.
    """
    n_targets, n_base = coef.shape
    weight = np.abs(coef)
    angle = 2 * np.pi * np.arange(n_targets) / n_targets
    direction = np.arctan2(np.sin(angle) @ weight, np.cos(angle) @ weight) % (2 * np.pi)
    linked = np.flatnonzero(weight.any(axis=0))
    linked = linked[np.argsort(direction[linked], kind="stable")]
    free = np.flatnonzero(~weight.any(axis=0))
    place = np.concatenate(
        [(np.arange(len(part)) + 0.5) / max(len(part), 1) for part in (linked, free)]
    )
    everything = np.concatenate([linked, free])
    return everything[np.argsort(place, kind="stable")][:n_base]


def sector_degrees(length: np.ndarray, total: float = 360.0) -> tuple:
    """Degrees of every sector, and degrees per unit of coefficient.

    Parameters
    ----------
    length : ndarray
        Sum of absolute coefficients per base category.
    total : float
        Degrees of the whole ring, gaps taken off.

    Returns
    -------
    ndarray, float
        ``max(least, unit * length)`` with the unit that fills the ring; `least` leaves room for a name
        where there is a coefficient.
    """
    least = np.where(length > 0, LINKED, FREE) * total / len(length)
    if not length.any():
        return np.full(len(length), total / len(length)), 0.0
    low, high = 0.0, total / length.max()
    for _ in range(60):
        unit = (low + high) / 2
        if np.maximum(least, unit * length).sum() > total:
            high = unit
        else:
            low = unit
    return np.maximum(least, low * length), low


@styled
def plot_chord(chords: Chords, title: str, subtitle: str) -> Figure:
    """Draw the chord graph.

    Parameters
    ----------
    chords : Chords
        Coefficients and names.
    title : str
        Above the graph.
    subtitle : str
        Below the title.

    Returns
    -------
    Figure
        The graph.
    """
    size, header = 7.6, 0.45
    figure = Figure(figsize=(size, size + header))
    high = size / (size + header)
    box = (0.2, 0.2 * high, 0.6, 0.6 * high)
    ring_axes = figure.add_axes(box, projection="polar")
    order = arrange(chords.coef)
    coef, base = chords.coef[:, order], [chords.base[j] for j in order]
    gap = min(GAP, 90 / len(base))
    degrees, unit = sector_degrees(np.abs(coef).sum(axis=0), 360 - gap * len(base))
    names = [str(j) for j in range(len(base))]
    circos = Circos(dict(zip(names, degrees, strict=True)), space=gap)
    _ring(circos, coef, base, unit)
    circos.plotfig(ax=ring_axes)
    axes = figure.add_axes(box)
    axes.axis("off")
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal")
    _inside(axes, circos, coef, chords.targets, unit)
    _base_glyphs(axes, circos, base, coef)
    figure.text(0.03, 0.975, title, fontsize=11, fontweight="bold", va="top")
    figure.text(0.03, 0.945, subtitle, fontsize=7.5, color=MUTED, va="top")
    _legend(figure)
    return figure


def _ring(circos: Circos, coef: np.ndarray, base: Sequence[Category], unit: float) -> None:
    """Grey sectors with an arc of the coefficient's own length per target; names of those that serve one."""
    is_linked = np.asarray(coef.any(axis=0))
    font = float(np.clip(420 / max(is_linked.sum(), 1), 5.5, 7.5))
    for j, sector in enumerate(circos.sectors):
        track = sector.add_track(RING)
        track.axis(fc=FAINT, ec="none")
        for start, end, value in arcs(coef[:, j], sector.size, unit):
            if value:
                track.rect(start, end, fc=sign_color(value), ec=PAPER, lw=0.4)
        if is_linked[j]:
            name = wrapped(base[j].caption, 28, 1)
            sector.text(name, r=NAMES_AT, orientation="vertical", size=font, color=INK)


def arcs(coef: np.ndarray, size: float, unit: float) -> list[tuple[float, float, float]]:
    """Start, end and value of every target's arc in a sector, centred in it.

    Parameters
    ----------
    coef : ndarray, shape (target,), float64
        Coefficients of one base category in every target.
    size : float
        Length of its sector.
    unit : float
        Length of an arc per unit of a coefficient.

    Returns
    -------
    list of tuple of float
        By target, those that the category serves.
    """
    lengths = unit * np.abs(coef)
    edges = (size - lengths.sum()) / 2 + np.concatenate([[0.0], np.cumsum(lengths)])
    edges = np.clip(edges, 0, size)
    return [(float(edges[t]), float(edges[t + 1]), float(value)) for t, value in enumerate(coef)]


def _point(angle: float, radius: float) -> np.ndarray:
    """Clockwise from the top, as pyCirclize counts."""
    return radius * np.array([np.sin(angle), np.cos(angle)])


def _inside(
    axes: Axes, circos: Circos, coef: np.ndarray, targets: Sequence[Category], unit: float
) -> None:
    at = [_point(angle, INSIDE) for angle in target_angles(circos, coef)]
    for j, sector in enumerate(circos.sectors):
        for t, (start, end, value) in enumerate(arcs(coef[:, j], sector.size, unit)):
            if value:
                first, last = sector.x_to_rad(start), sector.x_to_rad(end)
                _ribbon(axes, first, last, at[t], sign_color(value))
    node = min(NODE, 0.2 * 2 * np.pi * INSIDE / len(targets))
    taken = [Bbox([position - node, position + node]) for position in at]
    size = float(np.clip(58 / len(targets), 4.5, 5.8))
    for position, target in zip(at, targets, strict=True):
        draw_node(axes, position[0], position[1], node, target)
        taken.append(_target_name(axes, position, node, target, size, taken))


def _target_name(
    axes: Axes, position: np.ndarray, node: float, target: Category, size: float, taken: list[Bbox]
) -> Bbox:
    """Write a name next to its node, towards the centre and where it covers least of the others."""
    inward = -np.sign(position)
    beside, below = np.array([inward[0] or 1, 0]), np.array([0, inward[1] or 1])
    is_beside = abs(position[0]) > 0.5 * np.hypot(*position)
    first = (beside, below, beside + below) if is_beside else (below, beside + below, beside)
    sides = [*first, beside - below, below - beside]
    places = [(side, width) for side in sides for width in (16, 12, 24)]
    best, box = np.inf, Bbox.null()
    chosen: Text | None = None
    for side, width in places:
        text = _write(axes, position, node, side, wrapped(target.caption, width, 4), size)
        at = axes.transData.inverted().transform_bbox(text.get_window_extent())
        covered = sum(_overlap(at, other) for other in taken)
        if covered < best - 1e-9:
            if chosen is not None:
                chosen.remove()
            best, box, chosen = covered, at, text
        else:
            text.remove()
    return box.padded(1.5)


def _write(
    axes: Axes, position: np.ndarray, node: float, side: np.ndarray, name: str, size: float
) -> Text:
    reach = (node + 1.5) * side / np.hypot(*side)
    return axes.text(
        position[0] + reach[0],
        position[1] + reach[1],
        name,
        ha={-1: "right", 0: "center", 1: "left"}[int(side[0])],
        va={-1: "top", 0: "center", 1: "bottom"}[int(side[1])],
        fontsize=size,
        fontweight="bold",
        linespacing=1.05,
        path_effects=HALO,
        zorder=6,
    )


def _overlap(left: Bbox, right: Bbox) -> float:
    common = Bbox.intersection(left, right)
    return 0.0 if common is None else float(common.width * common.height)


def target_angles(circos: Circos, coef: np.ndarray) -> np.ndarray:
    """Even angles for the targets, turned as a whole towards the base categories they are made of.

    Parameters
    ----------
    circos : Circos
        The ring, laid out.
    coef : ndarray, shape (target, base), float64
        Coefficients; 0 is no source.

    Returns
    -------
    ndarray, shape (target,), float64
        In degrees.
    """
    n_targets = len(coef)
    even = 2 * np.pi * np.arange(n_targets) / n_targets
    middle = np.array([sector.x_to_rad(sector.center) for sector in circos.sectors])
    pull = (np.abs(coef) * np.exp(1j * (middle[np.newaxis] - even[:, np.newaxis]))).sum()
    return even + (float(np.angle(pull)) if abs(pull) > 0 else 0.0)


def _ribbon(axes: Axes, first: float, last: float, node: np.ndarray, color: str) -> None:
    """Fill between two curves that leave the ring radially and end in the node."""
    width = 0.5 * abs(last - first) * RING[0]
    across = np.array([-node[1], node[0]]) / np.hypot(*node) * min(width, NODE) / 2
    ends = _point(first, RING[0]), _point(last, RING[0])
    bends = _point(first, 0.62 * RING[0]), _point(last, 0.62 * RING[0])
    sides = (node - across, node + across)
    if np.hypot(*(ends[0] - sides[0])) > np.hypot(*(ends[0] - sides[1])):
        sides = sides[::-1]
    outward = node * (1 + 9 / np.hypot(*node))
    shifts = sides[0] - node, sides[1] - node
    rim = [_point(angle, RING[0]) for angle in np.linspace(last, first, 32)[1:-1]]
    path = Path(
        [
            ends[0],
            bends[0],
            outward + shifts[0],
            sides[0],
            sides[1],
            outward + shifts[1],
            bends[1],
            ends[1],
            *rim,
            ends[0],
        ],
        [
            Path.MOVETO,
            *[Path.CURVE4] * 3,
            Path.LINETO,
            *[Path.CURVE4] * 3,
            *[Path.LINETO] * len(rim),
            Path.CLOSEPOLY,
        ],
    )
    axes.add_patch(PathPatch(path, facecolor=color, alpha=0.5, edgecolor=color, linewidth=0.3))


def _base_glyphs(axes: Axes, circos: Circos, base: Sequence[Category], coef: np.ndarray) -> None:
    for j, sector in enumerate(circos.sectors):
        character = base[j].character
        if character is not None and coef[:, j].any():
            x, y = _point(sector.x_to_rad(sector.center), GLYPHS_AT)
            em = float(np.clip(0.95 * GLYPHS_AT * np.radians(sector.size), 1.2, 5.5))
            draw_glyph(axes, x, y, em, character, facecolor=INK, clip_on=False)


def _legend(figure: Figure) -> None:
    axes = figure.add_axes((0.6, 0.015, 0.37, 0.03))
    axes.axis("off")
    for color, label in ((POSITIVE, "positive coefficient"), (NEGATIVE, "negative coefficient")):
        axes.plot([], [], color=color, linewidth=5, alpha=0.7, label=label)
    axes.legend(loc="center right", ncols=2, handlelength=1.2)
