"""What a run says first: how many categories a few others give, and where the rest is."""

import csv
from collections.abc import Mapping
from pathlib import Path

SIZE = 4
LIMIT = 20  # % of the logit
WITHIN = f"rel_err_share_below_{LIMIT}"
PSEUDO = "pseudo_"
UNLABELLED = "(Without labels, the inputs that a classifier itself puts into a category stand for the category's own.)"
PLACES = {
    "results/explorer/index.html": "to look around, in a browser",
    "results/findings.md": "the paper's claims, judged on these logits",
    "results/tables": "all tables, table1.md first",
    "results/cards": "each category's dependencies, a table for a spreadsheet",
    "results/figures": "the figures",
}

Row = Mapping[str, str]


def headlines(folder: Path) -> list[str]:
    """Sentences about every pair of classifiers, from the tables of a run.

    Parameters
    ----------
    folder : Path
        Where the run was.

    Returns
    -------
    list of str
        None where the tables were not made.
    """
    rows = [
        row
        for row in _read(folder / "results/tables/table1_distribution.csv")
        if row["at"] == f"support size {SIZE}" and row["estimator"] == "subset"
    ]
    random = {
        (row["source"], row["target"]): _share(row)
        for row in _read(folder / "results/tables/controls.csv")
        if row["control"] == "none"
        and row["sources_by"] == "random"
        and row["support_size"] == f"{SIZE}"
    }
    lines = [_sentence(row, random.get((row["source"], row["target"]))) for row in rows]
    return lines + [UNLABELLED] * any(f"{PSEUDO}{WITHIN}" in row for row in rows)


def places(folder: Path) -> list[str]:
    """Where what a run made is, a line each.

    Parameters
    ----------
    folder : Path
        Where the run was.

    Returns
    -------
    list of str
        Of what is there.
    """
    there = {folder / place: about for place, about in PLACES.items() if (folder / place).exists()}
    width = max((len(str(place)) for place in there), default=0)
    return [f"{place!s:{width}}  {about}" for place, about in there.items()]


def _read(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _share(row: Row) -> float | None:
    """Percent of the categories within the limit, measured on labels or without."""
    text = row.get(WITHIN) or row.get(f"{PSEUDO}{WITHIN}")
    return float(text) if text else None


def _sentence(row: Row, random: float | None) -> str:
    source, target, share = row["source"], row["target"], _share(row)
    pair = target if source == target else f"{source} to {target}"
    if share is None:
        return f"{pair}: no category has inputs of its own to judge it by"
    where = "others" if source == target else f"of {source}'s"
    beside = f"; at random, {SIZE} others do so for {random:.0f} %" if random is not None else ""
    return (
        f"{pair}: {share:.0f} % of {row['n_categories']} categories are within {LIMIT} % of a combination of at most {SIZE} {where}, "
        f"on inputs that it was not found on{beside}"
    )
