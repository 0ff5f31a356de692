r"""A table in LaTeX: characters that every engine prints, parts that fit on a page.

Needs the packages array, booktabs and graphicx. What comes out is ASCII: accents are LaTeX's own, and a
character that its fonts lack stands as its code point, such as U+732B.
"""

import re
import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd

from neuraldeps.tables.columns import Column, display

NEEDS = r"% needs \usepackage{array,booktabs,graphicx}"
PAGE = 40  # lines of a part: one page of a two-column article
NOTE = 120  # characters of a line of notes
STRUT = r"\rule{0pt}{2.3ex}"  # between a rule and the first line of a heading
HEADING = 14  # characters of a line of a heading
PARAGRAPHS = {"dependency": (7, 36)}  # width in cm, characters in it
PARAGRAPH = (3, 14)
JOINT = r"\,\allowbreak{}"  # between code points
UNBROKEN = 16  # letters of a word in a paragraph, at most, without a place to break it
SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",  # straight ones are not in the default encoding
    **{character: "\\" + character for character in "&%$#_{}"},
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
    "\N{MINUS SIGN}": "$-$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{NO-BREAK SPACE}": "~",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{LATIN SMALL LETTER SHARP S}": r"\ss{}",
    "\N{LATIN SMALL LETTER AE}": r"\ae{}",
    "\N{LATIN CAPITAL LETTER AE}": r"\AE{}",
    "\N{LATIN SMALL LETTER O WITH STROKE}": r"\o{}",
    "\N{LATIN CAPITAL LETTER O WITH STROKE}": r"\O{}",
    "\N{LATIN SMALL LETTER L WITH STROKE}": r"\l{}",
    "\N{LATIN CAPITAL LETTER L WITH STROKE}": r"\L{}",
    "\N{LATIN SMALL LIGATURE OE}": r"\oe{}",
    "\N{LATIN CAPITAL LIGATURE OE}": r"\OE{}",
    "\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}",
}
ACCENTS = {  # combining characters
    "\u0300": r"\`",
    "\u0301": r"\'",
    "\u0302": r"\^",
    "\u0303": r"\~",
    "\u0304": r"\=",
    "\u0306": r"\u",
    "\u0307": r"\.",
    "\u0308": r"\"",
    "\u030a": r"\r",
    "\u030b": r"\H",
    "\u030c": r"\v",
    "\u0327": r"\c",
    "\u0323": r"\d",
    "\u0331": r"\b",
}


def escape_latex(text: str) -> str:
    r"""Write a text in ASCII that every LaTeX engine prints as it is meant.

    Parameters
    ----------
    text : str
        Plain, in any script.

    Returns
    -------
    str
        To stand anywhere in a text.

    Examples
    --------
    >>> print(escape_latex("10 % of alpha_max"))
    10 \% of alpha\_max
    >>> print(escape_latex("M\N{LATIN SMALL LETTER U WITH DIAERESIS}nster, \N{CYRILLIC CAPITAL LETTER ZHE}"))
    M\"{u}nster, U+0416
    """
    words = re.split(r"(\s+)", unicodedata.normalize("NFC", text))
    return "".join(_escape_word(word) for word in words)


def _escape_word(word: str) -> str:
    parts: list[str] = []
    is_code = False
    for character in word:
        printed = _printed(character)
        if printed is None:
            parts.append((JOINT if is_code else "") + f"U+{ord(character):04X}")
        else:
            parts.append((JOINT if is_code and character.isalnum() else "") + printed)
        is_code = printed is None
    # ligatures of the default encoding: -- and --- would be one dash
    return re.sub(r"-(?=-)", "-{}", "".join(parts)) if "--" in word else "".join(parts)


def _printed(character: str) -> str | None:
    """A character as every engine prints it; None if there is no such way."""
    if character in SPECIAL:
        return SPECIAL[character]
    if character.isascii():
        return character if character.isprintable() else " "
    base, *marks = list(unicodedata.normalize("NFD", character))
    if not (base.isascii() and base.isalpha() and all(mark in ACCENTS for mark in marks)):
        return None
    for mark in marks:
        base = rf"{ACCENTS[mark]}{{{base}}}"
    return base


def write_latex(
    tables: Sequence[tuple[pd.DataFrame, Mapping[str, Column]]],
    path: Path,
    caption: str,
    notes: Sequence[str],
) -> None:
    """Write one table, or several below each other, as floats that each fit on a page.

    A long table goes on in further floats under the same number; notes stand in the last one.

    Parameters
    ----------
    tables : sequence of tuple of pandas.DataFrame and mapping of str to Column
        Plain numbers, and what is shown of them and how.
    path : Path
        File to write.
    caption : str
        One line.
    notes : sequence of str
        Numbered, below.
    """
    caption = re.sub(r"^Table \d[.:] ", "", caption)  # LaTeX counts
    numbered = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    floats: list[list[str]] = [[]]
    room = PAGE
    for frame, columns in tables:
        shown, lines = display(frame, columns), _lines(display(frame, columns), columns)
        for first, last in _parts(lines, room):
            needed = 3 + sum(lines[first:last])
            if needed > room and floats[-1]:
                floats.append([])
                room = PAGE
            floats[-1].append(_tabular(shown.iloc[first:last], columns))
            room -= needed
    if numbered:
        if room < sum(1 + len(note) // NOTE for note in numbered) * 0.8:
            floats.append([])
        below = r"\par\medskip\footnotesize\raggedright" + "\n"
        floats[-1].append(below + " \\\\\n".join(map(escape_latex, numbered)))
    label = rf"\label{{tab:{path.stem.replace('_', '-')}}}"
    pages = [_float(parts, caption, label, number) for number, parts in enumerate(floats)]
    path.write_text("\n".join([NEEDS, *pages]) + "\n", encoding="utf-8")


def _float(parts: Sequence[str], caption: str, label: str, number: int) -> str:
    head = [r"\begin{table*}", r"\centering"]
    if number:
        head += [r"\addtocounter{table}{-1}", rf"\caption{{{escape_latex(caption)} (continued)}}"]
    else:
        head += [rf"\caption{{{escape_latex(caption)}}}", label]
    return "\n".join([*head, "\n\\par\\medskip\n".join(parts), r"\end{table*}"])


def _lines(shown: pd.DataFrame, columns: Mapping[str, Column]) -> list[int]:
    """Lines that every row takes, those of its longest paragraph."""
    lines = [1] * len(shown)
    for column in columns.values():
        if column.is_long:
            room = PARAGRAPHS.get(column.heading, PARAGRAPH)[1]
            texts = shown[column.name]
            lines = [
                max(line, 1 + _width(text) // room) for line, text in zip(lines, texts, strict=True)
            ]
    return lines


def _width(text: str) -> int:
    """Letters that a text takes as it is printed."""
    return sum(1 if _printed(character) else len("U+0000 ") for character in text)


def _parts(lines: Sequence[int], room: int) -> Iterator[tuple[int, int]]:
    """First and last row of every part; the first one takes what room there is, if it is worth it."""
    first, used = 0, 3
    room = room if room >= PAGE // 2 or sum(lines) + 3 <= room else PAGE
    for row, line in enumerate(lines):
        if used + line > room and row > first:
            yield first, row
            first, used, room = row, 3, PAGE
        used += line
    yield first, len(lines)


def _tabular(shown: pd.DataFrame, columns: Mapping[str, Column]) -> str:
    """The rows between rules, no wider than the text."""
    many = list(columns.values())
    groups = [(name, len([*of])) for name, of in groupby(column.group for column in many)]
    rows = [r"\toprule"]
    if any(name for name, _ in groups):
        rows += _group_heads(groups)
    rows.append(" & ".join(_heading(column) for column in many) + r" \\")
    before = None
    for row in shown.to_numpy(dtype=object):
        section = [text for text, column in zip(row, many, strict=True) if column.is_section]
        rows += [r"\midrule"] if section != before else []
        before = section
        cells = [_cell(text, column) for text, column in zip(row, many, strict=True)]
        rows.append(" & ".join(cells) + r" \\")
    shape = "".join(_shape(column) for column in many)
    body = "\n".join([*rows, r"\bottomrule"])
    tabular = rf"\begin{{tabular}}{{{shape}}}" + "\n" + body + "\n" + r"\end{tabular}"
    return (
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%" + "\n" + tabular + "}"
    )


def _group_heads(groups: Sequence[tuple[str, int]]) -> list[str]:
    heads, rules, place = [], [], 1
    for name, width in groups:
        heads.append(
            rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(name)}}}" if name else "& " * (width - 1)
        )
        if name:
            rules.append(rf"\cmidrule(lr){{{place}-{place + width - 1}}}")
        place += width
    return [" & ".join(heads) + r" \\", " ".join(rules)]


def _heading(column: Column) -> str:
    """The heading in narrow lines, bottom lines aligned."""
    side = "r" if column.number else "l"
    lines = textwrap.wrap(column.heading, HEADING, break_long_words=False) or [""]
    broken = STRUT + r"\\".join(escape_latex(line) for line in lines)
    return escape_latex(column.heading) if len(lines) == 1 else rf"\shortstack[{side}]{{{broken}}}"


def _cell(text: str, column: Column) -> str:
    if not column.is_long:
        return escape_latex(text)
    words = [
        r"\allowbreak{}".join(escape_latex(piece) for piece in _pieces(word))
        for word in text.split(" ")
    ]
    return " ".join(words)


def _pieces(word: str) -> list[str]:
    """A long word in parts that may stand on lines of their own."""
    if len(word) <= UNBROKEN:
        return [word]
    return [word[at : at + UNBROKEN // 2] for at in range(0, len(word), UNBROKEN // 2)]


def _shape(column: Column) -> str:
    if column.is_long:
        width = PARAGRAPHS.get(column.heading, PARAGRAPH)[0]
        return rf">{{\raggedright\arraybackslash}}p{{{width}cm}}"
    return "r" if column.number else "l"
