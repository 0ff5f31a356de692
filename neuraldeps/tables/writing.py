"""A table written as CSV, Markdown, LaTeX and as a page to read in a browser."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from neuraldeps.stores import aside
from neuraldeps.tables.columns import Column, display
from neuraldeps.tables.latex import write_latex
from neuraldeps.tables.pages import write_page

FORMS = ("csv", "md", "tex", "html")
Shown = tuple[pd.DataFrame, Mapping[str, Column]]


def escape_markdown(text: str) -> str:
    r"""Escape what Markdown would read as markup, most of all the bar that ends a table's cell.

    Parameters
    ----------
    text : str
        Plain.

    Returns
    -------
    str
        To stand in a cell.

    Examples
    --------
    >>> print(escape_markdown("VERTICAL LINE (|)"))
    VERTICAL LINE (\|)
    """
    return re.sub(r"([\\`*_<>|\[\]~$#&])", r"\\\1", text)


def write_markdown(tables: Sequence[Shown], path: Path, caption: str, notes: Sequence[str]) -> None:
    """Write frames as Markdown tables with their caption above and their notes below.

    Parameters
    ----------
    tables : sequence of tuple of pandas.DataFrame and mapping of str to Column
        Plain numbers, and what is shown of them and how; several below each other.
    path : Path
        File to write.
    caption : str
        One line.
    notes : sequence of str
        Numbered, below.
    """
    lines = [f"**{escape_markdown(caption)}**", ""]
    for frame, columns in tables:
        shown = display(frame, columns).map(escape_markdown).rename(columns=escape_markdown)
        align = ["right" if column.number else "left" for column in columns.values()]
        body = shown.to_markdown(index=False, disable_numparse=True, colalign=align)
        lines += [body, ""]
    lines += [f"{number}. {escape_markdown(note)}" for number, note in enumerate(notes, 1)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_table(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    outputs: Mapping[str, str],
    *,
    caption: str,
    notes: Sequence[str],
    shown: pd.DataFrame | None = None,
    printable: pd.DataFrame | None = None,
) -> None:
    """Write a table in all its formats.

    Parameters
    ----------
    frame : pandas.DataFrame
        Plain numbers: all of it goes to CSV, but for columns whose names end in `_text`, which are
        numbers put into words for people.
    columns : mapping of str to Column
        What is shown in Markdown and LaTeX, and how.
    outputs : mapping of str to str
        Paths under ``csv``, ``md``, ``tex`` and, where a page is wanted, ``html``.
    caption : str
        One line.
    notes : sequence of str
        Shown below the table.
    shown : pandas.DataFrame, optional
        Shown in Markdown and LaTeX in place of `frame`.
    printable : pandas.DataFrame, optional
        Shown in LaTeX in place of `shown`, where that has characters that LaTeX can seldom print.
    """
    numbers = frame[[name for name in frame if not str(name).endswith("_text")]]
    shown = frame if shown is None else shown
    printable = shown if printable is None else printable
    write_forms(
        numbers,
        [(shown, columns)],
        outputs,
        caption=caption,
        notes=notes,
        printable=[(printable, columns)],
    )


def write_forms(
    numbers: pd.DataFrame,
    tables: Sequence[Shown],
    outputs: Mapping[str, str],
    *,
    caption: str,
    notes: Sequence[str],
    printable: Sequence[Shown] | None = None,
) -> None:
    """Write plain numbers as CSV, and what is shown of them, in one table or several, in the other formats.

    Parameters
    ----------
    numbers : pandas.DataFrame
        All of it goes to CSV.
    tables : sequence of tuple of pandas.DataFrame and mapping of str to Column
        What is shown, and how.
    outputs : mapping of str to str
        Paths under ``csv``, ``md``, ``tex`` and, where a page is wanted, ``html``.
    caption : str
        One line.
    notes : sequence of str
        Shown below the tables.
    printable : sequence of tuple, optional
        Shown in LaTeX in place of `tables`.
    """
    with aside(outputs["csv"]) as path:
        numbers.to_csv(path, index=False, float_format="%.10g")
    with aside(outputs["md"]) as path:
        write_markdown(tables, path, caption, notes)
    with aside(outputs["tex"]) as path:
        write_latex(printable or tables, path, caption, notes)
    if "html" in outputs:
        with aside(outputs["html"]) as path:
            write_page(Path(outputs["md"]).read_text("utf-8"), path, caption)
