"""A table written as CSV, Markdown and LaTeX."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from neuraldeps.stores import aside

DASH = "-"


@dataclass(frozen=True)
class Column:
    """How one column of a table is shown: its heading, its number format, its place for the brackets."""

    heading: str
    number: str = ""
    original: str | None = None
    is_long: bool = False


def display(frame: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Format every value as text, the original accuracies in brackets, missing ones as a dash.

    Parameters
    ----------
    frame : pandas.DataFrame
        Plain numbers.
    columns : mapping of str to Column
        What is shown, and how.

    Returns
    -------
    pandas.DataFrame
        Text, under the columns' headings.
    """
    shown = {}
    for name, column in columns.items():
        texts = [_format(value, column.number) for value in frame[name]]
        if column.original is not None:
            originals = [_format(value, column.number) for value in frame[column.original]]
            texts = [f"{text} ({other})" for text, other in zip(texts, originals, strict=True)]
        shown[column.heading] = texts
    return pd.DataFrame(shown, dtype=object)


def _format(value: Any, number: str) -> str:
    if value is None or pd.isna(value):
        return DASH
    return format(int(value) if number == "d" else value, number)


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


def write_markdown(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    path: Path,
    caption: str,
    notes: Sequence[str],
) -> None:
    """Write a frame as a Markdown table with its caption above and its notes below.

    Parameters
    ----------
    frame : pandas.DataFrame
        Plain numbers.
    columns : mapping of str to Column
        What is shown, and how.
    path : Path
        File to write.
    caption : str
        One line.
    notes : sequence of str
        Numbered, below.
    """
    shown = display(frame, columns).map(escape_markdown).rename(columns=escape_markdown)
    align = ["right" if column.number else "left" for column in columns.values()]
    body = shown.to_markdown(index=False, disable_numparse=True, colalign=align)
    lines = [f"**{escape_markdown(caption)}**", "", body, ""]
    lines += [f"{number}. {escape_markdown(note)}" for number, note in enumerate(notes, 1)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_latex(
    frame: pd.DataFrame,
    columns: Mapping[str, Column],
    path: Path,
    caption: str,
    notes: Sequence[str],
) -> None:
    """Write a frame as a LaTeX table (packages booktabs and graphicx), everything escaped.

    Parameters
    ----------
    frame : pandas.DataFrame
        Plain numbers.
    columns : mapping of str to Column
        What is shown, and how.
    path : Path
        File to write.
    caption : str
        One line.
    notes : sequence of str
        Numbered, below.
    """
    shape = "".join(_latex_column(column) for column in columns.values())
    tabular = display(frame, columns).to_latex(index=False, escape=True, column_format=shape)
    shown = [escape_latex(f"{number}. {note}") for number, note in enumerate(notes, 1)]
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape_latex(caption)}}}",
        rf"\label{{tab:{path.stem.replace('_', '-')}}}",
        r"\resizebox{\linewidth}{!}{%",
        tabular.strip() + "}",
        r"\par\medskip\footnotesize\raggedright",
        " \\\\\n".join(shown),
        r"\end{table*}",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _latex_column(column: Column) -> str:
    if column.is_long:
        return r"p{7cm}" if column.heading == "dependency" else r"p{3cm}"
    return "r" if column.number else "l"


def escape_latex(text: str) -> str:
    r"""Escape LaTeX's ten special characters.

    Parameters
    ----------
    text : str
        Plain.

    Returns
    -------
    str
        To stand anywhere in a text.

    Examples
    --------
    >>> print(escape_latex("10 % of alpha_max"))
    10 \% of alpha\_max
    """
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return re.sub(r"[\\~^&%$#_{}]", lambda m: special.get(m[0], "\\" + m[0]), text)


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
        Paths under ``csv``, ``md`` and ``tex``.
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
    with aside(outputs["csv"]) as path:
        numbers.to_csv(path, index=False, float_format="%.10g")
    shown = frame if shown is None else shown
    with aside(outputs["md"]) as path:
        write_markdown(shown, columns, path, caption, notes)
    printable = shown if printable is None else printable
    with aside(outputs["tex"]) as path:
        write_latex(printable, columns, path, caption, notes)
