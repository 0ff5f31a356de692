"""The page of findings: every claim with a verdict, its number, its control and the command."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from neuraldeps.stores import aside
from neuraldeps.tables.claims import CLAIMS, Finding, Tables, judge_claims, percent
from neuraldeps.tables.dependencies import PSEUDO


def _without_pseudo(name: str) -> str:
    return name.removeprefix(PSEUDO)


def findings_page(
    findings: Mapping[str, Finding], further: Mapping[str, Sequence[str]], about: str
) -> str:
    """Write the findings as Markdown: a table of verdicts, then each claim.

    Parameters
    ----------
    findings : mapping of str to Finding
        By the claim's number.
    further : mapping of str to sequence of str
        What no claim of the paper is about: headings with sentences.
    about : str
        What run this is, a sentence.

    Returns
    -------
    str
        The page.
    """
    lines = ["# Findings", "", about, ""]
    lines += ["| | claim | verdict |", "|---|---|---|"]
    lines += [
        f"| {name} | {CLAIMS[name].statement} | **{one.verdict}** |"
        for name, one in findings.items()
    ]
    for name, one in findings.items():
        claim = CLAIMS[name]
        lines += ["", f"## {name}. {claim.statement}", "", f"**{one.verdict}** ({claim.rule})", ""]
        lines += [f"- {sentence}" for sentence in one.measured]
        if one.control:
            lines += ["", "Beside it:", ""]
            lines += [f"- {sentence}" for sentence in one.control]
        asked = " ".join(_path(table) for table in claim.tables)
        lines += ["", f"Made by `snakemake --cores all {asked}`."]
    for heading, sentences in further.items():
        lines += ["", f"## {heading}", "", *(f"- {sentence}" for sentence in sentences)]
    return "\n".join(lines) + "\n"


def _path(table: str) -> str:
    return f"logs/tables/{table}.csv" if table == "table2_times" else f"results/tables/{table}.csv"


def beyond_the_paper(tables: Tables) -> dict[str, list[str]]:
    """What no claim of the paper is about: planted dependencies, stability, agreement.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        As `judge_claims` takes them.

    Returns
    -------
    dict of str to list of str
        Headings with sentences.
    """
    said: dict[str, list[str]] = {}
    if "planted" in tables and not (planted := tables["planted"]).empty:
        known, others = (planted[planted["is_planted"] == one] for one in (True, False))
        inside = known["coef_error"] <= known["coef_error_bound"]
        said["Known dependencies are found"] = [
            f"Of {len(known)} planted dependencies of 1 to 5 sources the best subsets have exactly the true "
            f"sources of {int(known['found_by_subset'].eq(True).sum())}, with coefficients within the noise "
            f"for {int(inside.sum())}; CovLasso's support of the same size is the true one for "
            f"{int(known['found_by_lasso'].eq(True).sum())}.",
            f"Of {len(others)} untouched categories {int(others['is_claimed'].sum())} are claimed.",
        ]
    if "stability" in tables:
        said["How stable sources are"] = [
            f"{row['source']} -> {row['target']}, {row['support_size']:.0f} sources: mean stability over "
            f"{_draws(row['over'])} {row['stability_mean']:.2f} [{row['stability_mean_low']:.2f}, "
            f"{row['stability_mean_high']:.2f}] (1 is the same, 0 is chance){_unique(row['unique'])}."
            for _, row in tables["stability"].dropna(subset=["stability_mean"]).iterrows()
        ]
    if "agreement" in tables and not tables["agreement"].empty:
        said["Whether networks agree"] = [
            f"{row['first']} and {row['second']}, {row['support_size']:.0f} sources: {percent(row['shared'])} in "
            f"common, agreement {row['agreement_mean']:.2f}."
            for _, row in tables["agreement"].dropna(subset=["shared"]).iterrows()
        ]
    return said


def _draws(over: str) -> str:
    return "halves of the images" if over == "halves" else f"{over} of training"


def _unique(share: float) -> str:
    return (
        ""
        if np.isnan(share)
        else f"; {percent(share)} of the categories have no near-equal support"
    )


def write_findings(tables: Mapping[str, str], path: str, *, about: str) -> None:
    """Write what a run says of the paper's claims, as Markdown.

    Parameters
    ----------
    tables : mapping of str to str
        CSV files of the run's tables, by name.
    path : str
        File to write, whole or not at all.
    about : str
        What run this is, a sentence.
    """
    frames = {name: pd.read_csv(table) for name, table in tables.items()}
    if any(str(name).startswith(PSEUDO) for name in frames.get("table1_distribution", ())):
        about += (
            " The images have no labels, or too few: a category's own images are those that the target "
            "network itself takes for it."
        )
    frames = {name: one.rename(columns=_without_pseudo) for name, one in frames.items()}
    page = findings_page(judge_claims(frames), beyond_the_paper(frames), about)
    with aside(path) as work:
        work.write_text(page, encoding="utf-8")
