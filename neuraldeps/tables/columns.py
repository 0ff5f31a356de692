"""What a table shows of a frame: headings, formats, and every value as text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

DASH = "-"


@dataclass(frozen=True)
class Column:
    """How one column of a table is shown: its heading, its number format, its place for the brackets.

    `group` stands above the headings of neighbouring columns that share it; where a value of a column
    with `is_section` changes, LaTeX draws a rule.
    """

    heading: str
    number: str = ""
    original: str | None = None
    is_long: bool = False
    group: str = ""
    is_section: bool = False

    @property
    def name(self) -> str:
        """The heading with its group, on one line."""
        return f"{self.group}: {self.heading}" if self.group else self.heading


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
        shown[column.name] = texts
    return pd.DataFrame(shown, dtype=object)


def _format(value: Any, number: str) -> str:
    if value is None or pd.isna(value):
        return DASH
    return format(int(value) if number == "d" else value, number)
