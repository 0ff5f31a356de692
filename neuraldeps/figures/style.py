"""One look for every figure, and files that are the same bytes for the same input."""

import functools
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.image import AxesImage
from matplotlib.patches import Circle, PathPatch
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from PIL import Image

from neuraldeps.categories import Category
from neuraldeps.palette import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from neuraldeps.stores import aside

Arguments = ParamSpec("Arguments")
DPI = 200
COLORS, GREYS = 256, 16  # of a PNG that is drawn, and of one with images in grey
TWO_COLUMNS, ONE_COLUMN = 6.875, 3.25  # widths in a paper, inches
WIDTHS = {"": TWO_COLUMNS, "column_": ONE_COLUMN}  # by what output files' names begin with
INK, MUTED, FAINT, PAPER = "#22272e", "#6b7280", "#e5e7eb", "#ffffff"
POSITIVE, NEGATIVE = BLUE, VERMILLION
SERIES = (BLUE, ORANGE, GREEN, PURPLE, VERMILLION, SKY)
RC: Any = {  # Matplotlib types the keys one by one
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "text.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
    "lines.solid_capstyle": "round",
    "savefig.bbox": None,  # pyCirclize, once imported, crops every figure
    "pdf.fonttype": 42,  # TrueType: publishers refuse Type 3
    "svg.fonttype": "path",
    "svg.hashsalt": "neural-dependencies",
}
HALO = [withStroke(linewidth=3, foreground=PAPER)]
ARROW = "\N{RIGHTWARDS ARROW}"
MINUS = "\N{MINUS SIGN}"


def styled(draw: Callable[Arguments, Figure]) -> Callable[Arguments, Figure]:
    """Draw a figure in the common look, whatever Matplotlib is set to.

    Parameters
    ----------
    draw : callable
        Draws a figure.

    Returns
    -------
    callable
        The same, under the style.
    """

    @functools.wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with matplotlib.rc_context(RC):
            return draw(*args, **kwargs)

    return drawn


def glyph_font() -> FontProperties:
    """The DejaVu Sans that Matplotlib ships, whatever fonts the machine has.

    Returns
    -------
    FontProperties
        For characters of any script that it has.
    """
    return FontProperties(fname=Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"))


def _write(figure: Figure, path: str) -> None:
    """Write one file by its ending, without a date; PNG in a palette, a quarter as large.

    Photos keep all their colours.
    """
    with aside(path) as work:
        metadata: Mapping[str, Any] = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
        ending = Path(path).suffix
        figure.savefig(work, dpi=DPI, metadata=metadata.get(ending, {}))
        images = [np.asarray(image.get_array()) for image in figure.findobj(AxesImage)]  # type: ignore[union-attr]
        has_photos = any(image.ndim == 3 for image in images)
        if ending == ".png" and not has_photos:
            with Image.open(work) as drawn:
                pixels = drawn.convert("RGB")
            few = pixels.quantize(GREYS if images else COLORS, dither=Image.Dither.NONE)
            palette = np.array(few.getpalette(), np.uint8).reshape(-1, 3)
            palette[np.asarray(few)[0, 0]] = np.asarray(pixels)[0, 0]  # so that white is white
            few.putpalette(palette.tobytes())
            few.save(work, optimize=True, dpi=(DPI, DPI))


def save_figure(figure: Figure, png: str, svg: str) -> None:
    """Write PNG and SVG without dates, so that the same figure gives the same bytes.

    Parameters
    ----------
    figure : Figure
        What is saved.
    png, svg : str
        Files to write.
    """
    with matplotlib.rc_context(RC):
        for path in (png, svg):
            _write(figure, path)


def save_widths(draw: Callable[[float], Figure], outputs: Mapping[str, str]) -> None:
    """Write a figure as wide as two columns of a paper, and as wide as one, without dates.

    Parameters
    ----------
    draw : callable
        From a width in inches to a figure.
    outputs : mapping of str to str
        Files to write: ``png``, ``svg`` and ``pdf``, and as wide as one column ``column_png`` and
        ``column_pdf``.
    """
    for prefix, width in WIDTHS.items():
        figure = draw(width)
        with matplotlib.rc_context(RC):
            for form in ("png", "svg", "pdf"):
                if path := outputs.get(prefix + form):
                    _write(figure, path)


def save_pages(pages: Sequence[Figure], pngs: Sequence[str], pdf: str) -> None:
    """Write pages as a PNG each and as one PDF, without dates.

    Parameters
    ----------
    pages : sequence of Figure
        One per page.
    pngs : sequence of str
        Files to write, one per page.
    pdf : str
        File to write, with all pages.
    """
    undated: Any = {"CreationDate": None}
    with (
        matplotlib.rc_context(RC),
        aside(pdf) as work,
        PdfPages(work, metadata=undated) as file,
    ):
        for page, png in zip(pages, pngs, strict=True):
            _write(page, png)
            page.savefig(file, format="pdf")


def pair_title(source: str, target: str) -> str:
    """``resnet18`` within a network, ``resnet18 → swin`` between two.

    Parameters
    ----------
    source, target : str
        Names of networks.

    Returns
    -------
    str
        For a title.
    """
    return source if source == target else f"{source} {ARROW} {target}"


def signed(value: float, digits: int = 2) -> str:
    """A number with a true minus sign, and one digit at least that is not zero.

    Parameters
    ----------
    value : float
        Any number.
    digits : int
        After the point, more where all of them would be zero.

    Returns
    -------
    str
        For a label.

    Examples
    --------
    >>> signed(0.5), signed(0.0021)
    ('0.50', '0.002')
    """
    shown = f"{value:.{digits}f}"
    if value and not float(shown):
        shown = np.format_float_positional(float(f"{value:.1g}"))
    return shown.replace("-", MINUS)


def wrapped(text: str, width: int, lines: int = 3) -> str:
    """Break a name into lines; an ellipsis stands for what does not fit.

    Parameters
    ----------
    text : str
        A name.
    width : int
        Most characters of a line.
    lines : int
        Most lines.

    Returns
    -------
    str
        With line breaks.
    """
    return textwrap.fill(text, width, max_lines=lines, placeholder=" \N{HORIZONTAL ELLIPSIS}")


def sign_color(value: float) -> str:
    """Blue above zero, vermillion below.

    Parameters
    ----------
    value : float
        A coefficient.

    Returns
    -------
    str
        A colour, as Matplotlib takes it.
    """
    return POSITIVE if value >= 0 else NEGATIVE


def draw_glyph(axes: Axes, x: float, y: float, em: float, character: str, **patch: Any) -> None:
    """Draw a character centred on its own ink, `em` data units to the em; axes of equal aspect.

    Parameters
    ----------
    axes : Axes
        Where it is drawn.
    x, y : float
        Centre, data units.
    em : float
        Size, data units.
    character : str
        One character.
    **patch
        Passed to Matplotlib's `PathPatch`.
    """
    path = TextPath((0, 0), character, size=100, prop=glyph_font())
    box = path.get_extents()
    move = Affine2D().translate(-(box.x0 + box.x1) / 2, -(box.y0 + box.y1) / 2)
    longest = max(box.width, box.height, 1e-9)
    scale = min(em / 100, 1.15 * em / longest)
    placed = path.transformed(move.scale(scale).translate(x, y))
    axes.add_patch(PathPatch(placed, **({"facecolor": INK, "linewidth": 0} | patch)))


def draw_node(
    axes: Axes,
    x: float,
    y: float,
    radius: float,
    category: Category,
    picture: np.ndarray | None = None,
    *,
    color: str = INK,
    zorder: float = 3,
) -> None:
    """Draw a category as a disk with its character, or a picture of it, inside.

    Parameters
    ----------
    axes : Axes
        Where it is drawn.
    x, y : float
        Centre, data units.
    radius : float
        Data units.
    category : Category
        Whose character or name it is.
    picture : ndarray, optional
        An image of the category, in place of its character.
    color : str
        Of the rim.
    zorder : float
        As Matplotlib takes it.
    """
    disk = Circle((x, y), radius, facecolor=PAPER, edgecolor=color, linewidth=1.8, zorder=zorder)
    axes.add_patch(disk)
    if category.character is not None:
        draw_glyph(axes, x, y, 1.25 * radius, category.character, zorder=zorder + 0.1)
    elif picture is not None:
        extent = (x - radius, x + radius, y - radius, y + radius)
        image = axes.imshow(
            picture, extent=extent, zorder=zorder + 0.1, interpolation="antialiased"
        )
        image.set_clip_path(Circle((x, y), 0.96 * radius, transform=axes.transData))
