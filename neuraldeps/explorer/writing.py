"""Files of the explorer: a folder that is whole or absent, and data as scripts that register themselves."""

import contextlib
import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neuraldeps.stores.publish import beside, move

SHARE = 1000  # shares and coefficients are kept to the third decimal
CHANGE = 100_000  # changes of the accuracy over all images, of which one logit moves little
DIGITS = 3  # significant ones of everything else


@contextlib.contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Give a folder next to `path` to fill, and move it there when it is whole.

    Parameters
    ----------
    path : path
        Declared folder; parents are made, and what stands there is replaced.

    Yields
    ------
    Path
        The folder to fill.
    """
    path = Path(path)
    with beside(path) as work:
        work.mkdir()
        yield work
        if path.exists():
            shutil.rmtree(path)
        move(work, path)


def write_script(folder: Path, name: str, data: Mapping[str, Any]) -> None:
    """Write data as a classic script, which a page may load from a disk where it may fetch nothing.

    Parameters
    ----------
    folder : Path
        The explorer's folder of data.
    name : str
        Under which the script registers the data; with `.js`, where it lies below the folder.
    data : mapping
        What JSON can say.
    """
    path = folder / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    # in JSON two line ends are text that end a line in scripts
    text = text.replace("\N{LINE SEPARATOR}", "\\u2028").replace(
        "\N{PARAGRAPH SEPARATOR}", "\\u2029"
    )
    path.write_text(f"neuraldeps_register({json.dumps(name)},{text});\n", encoding="utf-8")


def whole(values: np.ndarray, scale: int = SHARE) -> list[Any]:
    """Numbers as whole multiples of 1 / scale; None where something was not measured.

    Parameters
    ----------
    values : ndarray
        Of any shape.
    scale : int
        Steps of a unit.

    Returns
    -------
    list
        Nested as `values` are.

    Examples
    --------
    >>> whole(np.array([[0.1234, np.nan]]))
    [[123, None]]
    """
    counted = np.rint(np.asarray(values, float) * scale)
    return _listed(counted, lambda value: int(value) if math.isfinite(value) else None)


def _listed(values: np.ndarray, show: Callable[[float], Any]) -> list[Any]:
    if values.ndim > 1:
        return [_listed(row, show) for row in values]
    return [show(value) for value in values.tolist()]


def short(values: np.ndarray) -> list[Any]:
    """Numbers to three significant digits; None where something was not measured.

    Parameters
    ----------
    values : ndarray
        Of any shape.

    Returns
    -------
    list
        Nested as `values` are.

    Examples
    --------
    >>> short(np.array([12345.6, 0.00123456, np.nan]))
    [12300, 0.00123, None]
    """

    def one(value: float) -> float | int | None:
        if not math.isfinite(value):
            return None
        rounded = float(f"{value:.{DIGITS}g}")
        return int(rounded) if rounded == int(rounded) else rounded

    return _listed(np.asarray(values, float), one)
