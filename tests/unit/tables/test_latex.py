"""Tables in LaTeX compile without a warning of their own, whatever categories are called."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from neuraldeps.tables.columns import Column
from neuraldeps.tables.latex import escape_latex, write_latex

DOCUMENT = r"""\documentclass[10pt,twocolumn]{article}
\usepackage[paper=letterpaper,textwidth=6.875in,textheight=8.875in]{geometry}
\usepackage{array,booktabs,graphicx}
\begin{document}
%s
\end{document}
"""
# what a reader of the log would have to act on; underfull boxes are loose lines, no more
WARNING = re.compile(
    r"Overfull \\hbox|Missing character|Float too large|Reference|multiply|^!", re.M
)
NAMES = [
    "R&D_#1 50% ~{x}^\\$ <a|b> \"quoted\" -- 'it'",
    "Übergröße, cœur, smørrebrød, Łódź, naïve, Šumava, ő",
    "кошка",
    "γάτα",
    "猫と犬",
    "قطة",
    "◾ ▪ → \N{MINUS SIGN} ± 😀 \U0001d400 \u0301",
    "an_unbroken_folder_name_of_a_photo_collection_2024_final_really_final",
    "LATIN CAPITAL LETTER A WITH GRAVE",
]
COLUMNS = {
    "category": Column("category", is_long=True),
    "dependency": Column("dependency", is_long=True),
    "value": Column("rel err, all images (%)", ".1f", group="this network"),
    "other": Column("pos acc (%)", ".1f", group="this network"),
}


def compile_latex(engine, text, folder):
    """What the engine's log says of a document, and the pages' text; skips where it is not installed."""
    if shutil.which(engine) is None:
        pytest.skip(f"no {engine} on this machine (Debian: texlive-latex-recommended)")
    (folder / "document.tex").write_text(DOCUMENT % text, encoding="utf-8")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    subprocess.run(command, cwd=folder, capture_output=True, timeout=120, check=False)
    return (folder / "document.log").read_text(errors="replace")


def a_table(folder, n_rows, n_notes=3):
    rows = [
        {
            "category": NAMES[row % len(NAMES)],
            "dependency": " + ".join(f"0.5 {name}" for name in NAMES[row % 3 : row % 3 + 4]),
            "value": 12.34,
            "other": float("nan") if row % 2 else 5,
        }
        for row in range(n_rows)
    ]
    path = folder / f"table_{n_rows}.tex"
    notes = [f"A note with {name}: " + 20 * "what it says, " for name in NAMES[:n_notes]]
    frame = pd.DataFrame(rows)
    write_latex([(frame, COLUMNS), (frame[:2], COLUMNS)], path, f"Of {NAMES[0]}", notes)
    return path.read_text()


@pytest.mark.parametrize("engine", ["pdflatex", "lualatex"])
def test_any_name_and_any_length_compiles_without_a_warning(engine, tmp_path):
    text = a_table(tmp_path, 4) + a_table(tmp_path, 60, len(NAMES))
    assert text.isascii()
    log = compile_latex(engine, text, tmp_path)
    assert WARNING.findall(log) == [], log
    assert re.search(r"Output written on document\.pdf \(\d+ pages", log), log[-500:]


def test_the_check_of_the_log_finds_what_it_is_for(tmp_path):
    text = r"\noindent\rule{2\linewidth}{1pt} \char 200 \ref{none}"
    log = compile_latex("pdflatex", text, tmp_path)
    assert {"Overfull \\hbox", "Missing character", "Reference"} <= set(WARNING.findall(log))


def test_what_latex_lacks_is_named_by_code_point():
    assert escape_latex("猫と") == r"U+732B\,\allowbreak{}U+3068"
    assert escape_latex("Ж1 x") == r"U+0416\,\allowbreak{}1 x"
    assert escape_latex("é Š ø") == r"\'{e} \v{S} \o{}"
    assert escape_latex("a--b") == "a-{}-b"
    assert escape_latex("900->100") == r"900-\textgreater{}100"


def test_a_long_table_goes_on_under_the_same_number(tmp_path):
    text = a_table(tmp_path, 60)
    n_floats = text.count(r"\begin{table*}")
    assert n_floats > 3
    assert text.count(r"\addtocounter{table}{-1}") == n_floats - 1
    assert text.count(r"\label") == 1
    assert text.count("12.3 ") == 62


def test_groups_of_columns_have_headings_and_rules(tmp_path):
    text = a_table(tmp_path, 4)
    assert r"&  & \multicolumn{2}{c}{this network} \\" in text
    assert r"\cmidrule(lr){3-4}" in text
    assert r"\shortstack[r]{\rule{0pt}{2.3ex}rel err, all\\images (\%)}" in text
