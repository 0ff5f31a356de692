"""Tables as people's programs write them: byte order marks, semicolons, blanks and rows that do not fit."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from neuraldeps.errors import InputError

SEPARATORS = (",", ";", "\t", "|")


class Rows(NamedTuple):
    """Rows of a table.

    Attributes
    ----------
    columns : list of str
        Names of all columns, as they stand in the header.
    lines : list of int
        Where each row ends in the file.
    values : dict of str to list of str
        The columns that were asked for, as far as they are there; without blanks around.
    """

    columns: list[str]
    lines: list[int]
    values: dict[str, list[str]]


def read_rows(path: str, key: str, wanted: Sequence[str], optional: Sequence[str] = ()) -> Rows:
    """Read some columns of a table with a header.

    Commas, semicolons, tabs or bars separate; the header tells which. UTF-8, with or without a byte
    order mark, or UTF-16 with one. Case and blanks around names of columns do not matter, nor do
    empty rows and empty fields at the end of a row.

    Parameters
    ----------
    path : str
        The table.
    key : str
        The configuration key that names the table, for error messages.
    wanted, optional : sequence of str
        Names of columns, in lower case, that must and that may be there.

    Returns
    -------
    Rows
        Values by column, and where each row stands.

    Raises
    ------
    InputError
        If it cannot be read, lacks a column, or a row has another number of fields than the header.
    """
    text, where = _text(path, key), f"{key}: {path}"
    columns = " and ".join((*wanted, *optional))
    header, separator, skipped = _header(text, wanted, where, columns)
    names = [name.strip().lower() for name in header]
    twice = [name for name in (*wanted, *optional) if names.count(name) > 1]
    if twice:
        raise InputError(f"{where} has two columns {twice[0]}; rename or remove one")
    at = {name: names.index(name) for name in (*wanted, *optional) if name in names}
    width = max(number for number, name in enumerate(names, 1) if name)
    found = Rows(header, [], {name: [] for name in at})
    reader = _reader(text, separator)
    try:
        for number, row in enumerate(reader):
            if number <= skipped or not any(field.strip() for field in row):
                continue
            if len(row) < width or any(field.strip() for field in row[width:]):
                raise InputError(
                    f"{where}, line {reader.line_num}: the number of its fields is {len(row)}, not the header's "
                    f"{width}; write them all, and quote a field that holds {separator!r}"
                )
            found.lines.append(reader.line_num)
            for name, column in at.items():
                found.values[name].append(row[column].strip())
    except csv.Error as error:
        raise InputError(
            f"{where}, line {reader.line_num}: is not a table row ({error}); correct it"
        ) from error
    if not found.lines:
        raise InputError(f"{where} has no rows; give the columns {columns}, and a row of each")
    return found


def repeated(values: Sequence[str]) -> list[str]:
    """Values that are there more than once.

    Parameters
    ----------
    values : sequence of str
        In any order.

    Returns
    -------
    list of str
        Each once, in order.
    """
    return [value for value, count in Counter(values).items() if count > 1]


def _text(path: str, key: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(
            f"{key}: {path} cannot be read ({error.strerror}); correct the path"
        ) from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{key}: {path}, line {line}: is not in UTF-8; save the table as CSV in UTF-8"
        ) from error
    if "\0" in text:
        raise InputError(f"{key}: {path} is not text; save the table as CSV in UTF-8")
    return text


def _reader(text: str, separator: str) -> Any:
    lines = io.StringIO(text, newline="")
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)


def _header(
    text: str, wanted: Sequence[str], where: str, columns: str
) -> tuple[list[str], str, int]:
    """Names of the columns, what separates them, and the row they stand in."""
    # spreadsheets may say first what separates
    skipped = int(bool(re.match(r'"?sep=.', text)))
    seen = list[str]()
    for separator in SEPARATORS:
        try:
            rows = [
                row for row, _ in zip(_reader(text, separator), range(skipped + 1), strict=False)
            ]
        except csv.Error:
            continue  # quotes that make sense with another separator
        header = rows[skipped] if len(rows) > skipped else []
        if set(wanted) <= {name.strip().lower() for name in header}:
            return header, separator, skipped
        seen = max(seen, header, key=len)
    what = ", ".join(map(str.strip, seen)) if any(map(str.strip, seen)) else "no header"
    raise InputError(f"{where} has {what}; give the columns {columns}")
