"""Tables 1 to 4 in the paper's own rows and columns, from the run's long tables.

One estimator, variant or arm stands for *ours*; where the data set is ImageNet the paper's own numbers
stand beneath, in the same columns.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from neuraldeps.tables.columns import DASH, Column
from neuraldeps.tables.paper import paper_backbone
from neuraldeps.tables.writing import Shown

RUN, PAPER = "this run", "the paper"
BASELINE, OURS, IMPROVEMENT = "baseline", "ours", "improvement"
WIDEST = 6  # columns of numbers side by side; groups that do not fit stand below
PSEUDO = "pseudo_"


@dataclass(frozen=True)
class Choice:
    """What stands for *ours* in each table, as `tables.paper` says it."""

    estimator: str = "lasso"
    variant: str = "literal"
    arm: str = "literal"


@dataclass(frozen=True)
class Cell:
    """One number, with its standard deviation over seeds or the original in brackets."""

    value: float
    std: float = np.nan
    original: float = np.nan


@dataclass
class Grid:
    """Rows and columns of numbers: `cells` by section, row and column; a column is (group, heading)."""

    corner: str
    columns: list[tuple[str, str]] = field(default_factory=list)
    formats: dict[str, str] = field(default_factory=dict)
    cells: dict[tuple[str, str], dict[tuple[str, str], Cell]] = field(default_factory=dict)

    def put(self, section: str, row: str, column: tuple[str, str], cell: Cell) -> None:
        """Put a number into its place; rows and columns stand in the order of their first number.

        Parameters
        ----------
        section : str
            Whose numbers.
        row : str
            Heading of the row.
        column : tuple of str
            Group and heading of the column.
        cell : Cell
            The number.
        """
        if column not in self.columns:
            self.columns.append(column)
        self.cells.setdefault((section, row), {})[column] = cell


def lay_out_table(
    number: int, table: pd.DataFrame, choice: Choice, paper: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, list[Shown], list[str]]:
    """Lay out one of the long tables as the paper does.

    Parameters
    ----------
    number : int
        Of the table in the paper, 1 to 4.
    table : pandas.DataFrame
        The run's long table of this number, as its CSV has it.
    choice : Choice
        Which estimator, variant and arm.
    paper : pandas.DataFrame, optional
        Columns of ``reference/paper_tables.csv``; given only where the data set is ImageNet.

    Returns
    -------
    tuple
        Plain numbers; what is shown, in one table or several below each other; and notes.
    """
    grid, notes = LAYOUTS[number](table, choice)
    if paper is not None and f"{PSEUDO}acc" not in table:
        theirs = paper[paper["table"].astype(str) == str(number)]
        notes += PAPERS[number](grid, theirs)
    return _numbers(grid), _shown(grid), notes


def _table1(table: pd.DataFrame, choice: Choice) -> tuple[Grid, list[str]]:
    """Metrics by cases."""
    pseudo = PSEUDO if f"{PSEUDO}acc" in table else ""
    grid = Grid("metric", formats={"abs err (logits)": ".3f", "": ".1f"})
    names = []
    for _, row in table[table["estimator"] == choice.estimator].iterrows():
        group = "within a network" if row["source"] == row["target"] else "between networks"
        column = (group, _case(row["source"], row["target"]))
        for heading, metric in METRICS1.items():
            original = f"{pseudo}{metric}_original"
            cell = Cell(row[pseudo + metric], original=row.get(original, np.nan))
            grid.put(RUN, heading, column, cell)
        names.append(f"{column[1]}: {row['category']} from {row['support_size']:.0f}")
    grid.columns.sort(key=lambda column: column[0], reverse=True)  # within comes first
    notes = [
        f"The cases of Table 1 by {choice.estimator}; target categories and numbers of sources: "
        f"{'; '.join(names)}.",
        "Errors are over the target category's own images. In brackets: accuracy with nothing replaced.",
        f"Median relative error of these cases by estimator: {_errors(table, pseudo)}.",
    ]
    if pseudo:
        notes.append(
            "There are too few labels: a category's own images are those that the network itself takes for "
            "it, and accuracy is the share of images whose top-1 stays."
        )
    return grid, notes


def _errors(table: pd.DataFrame, pseudo: str) -> str:
    """The median error of the same cases, by every estimator of the run."""
    ours = table[table["estimator"] != "paper"]
    middle = ours.groupby("estimator", sort=False)[f"{pseudo}rel_err"].median()
    return ", ".join(f"{name} {error:.1f} %" for name, error in middle.items())


METRICS1 = {
    "abs err (logits)": "abs_err",
    "rel err (%)": "rel_err",
    "acc (original) (%)": "acc",
    "pos acc (original) (%)": "pos_acc",
}


def _case(source: str, target: str) -> str:
    return source if source == target else f"{source} -> {target}"


def _table2(table: pd.DataFrame, choice: Choice) -> tuple[Grid, list[str]]:
    """Backbones by settings."""
    grid = Grid("backbone", formats={"": ".2f"})
    shown = table[table["variant"] == choice.variant]
    for _, row in shown.iterrows():
        for heading in (BASELINE, OURS, IMPROVEMENT):
            cell = Cell(row[heading], row[f"{heading}_std"])
            grid.put(RUN, row["model"], (row["setting"], heading), cell)
    notes = [
        f"Accuracy in percent over all categories. Ours is the variant {choice.variant}; {_seeds(table)}. "
        "The improvement's deviation is over the seeds' own differences. Other variants: table2."
    ]
    return grid, notes


def _table3(table: pd.DataFrame, choice: Choice) -> tuple[Grid, list[str]]:
    """Backbones by metrics."""
    grid = Grid("backbone", formats={THETA: ".3g", "": ".2f"})
    arms = table[~table["arm"].astype(str).str.startswith("paper")].set_index(["model", "arm"])
    controls = []
    for model in dict.fromkeys(arms.index.get_level_values("model")):
        before, after = arms.loc[(model, BASELINE)], arms.loc[(model, choice.arm)]
        for group, metric in METRICS3.items():
            for heading, row in ((BASELINE, before), (OURS, after)):
                cell = Cell(row[metric], row.get(f"{metric}_std", np.nan))
                grid.put(RUN, model, (group, heading), cell)
            if group != THETA:
                grid.put(RUN, model, (group, IMPROVEMENT), Cell(after[metric] - before[metric]))
        if (model, "control") in arms.index:
            control = arms.loc[(model, "control")]
            controls.append(
                f"{model}: acc {control['acc']:.2f}, AUPR {control['aupr']:.2f}, "
                f"coefficient {control['theta_alpha']:.3g}"
            )
    notes = [
        f"Ours is the arm {choice.arm}; {_seeds(table)}. The coefficient is that of the category that was cut "
        "off, at equal alpha; shrunken logits make it zero trivially. What became of the two categories: "
        "table3."
    ]
    if controls:
        notes.append(
            "The paper has no control: fine-tuned for as long without the penalty, a network has "
            f"{'; '.join(controls)}. What it shows as well does not come from the regulariser."
        )
    return grid, notes


ACC, THETA, AUPR = "accuracy (%)", "coefficient", "AUPR out of distribution (%)"
METRICS3 = {ACC: "acc", THETA: "theta_alpha", AUPR: "aupr"}


def _table4(table: pd.DataFrame, choice: Choice) -> tuple[Grid, list[str]]:
    """Methods by backbones and groups."""
    setting = table["setting"].iloc[0]
    n_base, _, n_new = setting.partition("->")
    grid = Grid("method", formats={"": ".2f"})
    shown = table[table["setting"] == setting]
    for classifier, method in ((BASELINE, BASELINE), (choice.variant, OURS)):
        for _, row in shown[shown["classifier"] == classifier].iterrows():
            for group, heading in (("base", f"base {n_base}"), ("new", f"new {n_new}")):
                cell = Cell(row[f"{group}_restricted"], row[f"{group}_restricted_std"])
                grid.put(RUN, method, (row["model"], heading), cell)
    grid.columns.sort(key=lambda column: list(shown["model"]).index(column[0]))
    full = [
        f"{row['model']}, {row['classifier']}: {row['base_full']:.2f} and {row['new_full']:.2f}"
        for _, row in shown[shown["classifier"].isin([BASELINE, choice.variant])].iterrows()
    ]
    notes = [
        f"Setting {setting}, accuracy in percent with the arg-max within the image's own group, as in the paper; "
        f"ours is the variant {choice.variant}; {_seeds(table)}.",
        "With the arg-max over all categories the same classifiers have on base and on new images "
        f"{'; '.join(full)}: the restriction hides a classifier that sends base images to new categories.",
    ]
    return grid, notes


def _seeds(table: pd.DataFrame) -> str:
    n_seeds = int(table["n_seeds"].max())
    return (
        f"mean and sample standard deviation over {n_seeds} seeds"
        if n_seeds > 1
        else "one seed, so without deviations"
    )


LAYOUTS: dict[int, Callable[[pd.DataFrame, Choice], tuple[Grid, list[str]]]] = {
    1: _table1,
    2: _table2,
    3: _table3,
    4: _table4,
}


def _theirs1(grid: Grid, paper: pd.DataFrame) -> list[str]:
    """The paper's cases under those of the same networks; the others in columns of their own."""
    own = {_of_case(heading): (group, heading) for group, heading in grid.columns}
    values = paper.set_index(["backbone", "metric", "variant"])["value"].astype(float)
    for setting, backbone in dict.fromkeys(zip(paper["setting"], paper["backbone"], strict=True)):
        group = "within a network" if setting == "within" else "between networks"
        column = own.get(backbone, (group, backbone))
        for heading, metric in METRICS1.items():
            original = values.get((backbone, metric, "original"), np.nan)
            cell = Cell(values[backbone, metric, OURS], original=original)
            grid.put(PAPER, heading, column, cell)
    grid.columns.sort(key=lambda column: column[0], reverse=True)
    return [
        "The paper's cases were chosen by hand, and its accuracies are no known metric of these networks."
    ]


def _of_case(heading: str) -> str:
    sides = [paper_backbone(side) or "" for side in heading.split(" -> ")]
    return " -> ".join(sides)


def _theirs2(grid: Grid, paper: pd.DataFrame) -> list[str]:
    for backbone, setting, cells in _pairs(paper, ["backbone", "setting"]):
        _put_pair(grid, backbone, setting, cells)
    return [
        "The paper's improvements are differences of its means; it gives no deviation of them. Its Table 4 cannot "
        "come from the runs of its Table 2."
    ]


def _theirs3(grid: Grid, paper: pd.DataFrame) -> list[str]:
    groups = {"acc": ACC, "dependency_coefficient": THETA, "aupr": AUPR}
    for backbone, metric, cells in _pairs(paper, ["backbone", "metric"]):
        _put_pair(grid, backbone, groups[metric], cells, with_improvement=groups[metric] != THETA)
    return ["The paper's pairs of categories are others."]


def _theirs4(grid: Grid, paper: pd.DataFrame) -> list[str]:
    own = {
        (paper_backbone(group), heading.split(" ")[0]): (group, heading)
        for group, heading in grid.columns
    }
    for _, row in paper.iterrows():
        column = own.get((row["backbone"], row["setting"].split(" ")[0]))
        column = column or (row["backbone"], row["setting"])
        cell = Cell(float(row["value"]), float(row["std"]))
        grid.put(PAPER, row["variant"], column, cell)
    return ["The paper's groups are 900 base and 100 new categories."]


PAPERS: dict[int, Callable[[Grid, pd.DataFrame], list[str]]] = {
    1: _theirs1,
    2: _theirs2,
    3: _theirs3,
    4: _theirs4,
}


def _pairs(paper: pd.DataFrame, by: list[str]) -> Iterator[tuple[str, str, dict[str, Cell]]]:
    """Baseline and ours of the paper, by two columns."""
    for (first, second), rows in paper.groupby(by, sort=False):
        yield (
            str(first),
            str(second),
            {
                row["variant"]: Cell(float(row["value"]), float(row["std"]))
                for _, row in rows.iterrows()
            },
        )


def _put_pair(
    grid: Grid, row: str, group: str, cells: Mapping[str, Cell], *, with_improvement: bool = True
) -> None:
    for heading in (BASELINE, OURS):
        grid.put(PAPER, row, (group, heading), cells[heading])
    if with_improvement:
        gain = Cell(cells[OURS].value - cells[BASELINE].value)
        grid.put(PAPER, row, (group, IMPROVEMENT), gain)


def _numbers(grid: Grid) -> pd.DataFrame:
    """Plain numbers: a row as in the paper, and columns of deviations and originals where there are any."""
    rows = []
    for (section, name), cells in grid.cells.items():
        row: dict[str, Any] = {"numbers": section, grid.corner: name}
        for group, heading in grid.columns:
            cell = cells.get((group, heading), Cell(np.nan))
            title = f"{group}: {heading}"
            row |= {
                title: cell.value,
                f"{title}, std": cell.std,
                f"{title}, original": cell.original,
            }
        rows.append(row)
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _shown(grid: Grid) -> list[Shown]:
    """Tables of at most `WIDEST` columns of numbers, below each other; groups stay together."""
    groups = list(dict.fromkeys(group for group, _ in grid.columns))
    blocks: list[list[tuple[str, str]]] = [[]]
    for group in groups:
        of = [column for column in grid.columns if column[0] == group]
        if blocks[-1] and len(blocks[-1]) + len(of) > WIDEST:
            blocks.append([])
        for column in of:
            if len(blocks[-1]) == WIDEST:
                blocks.append([])
            blocks[-1].append(column)
    return [_block(grid, block) for block in blocks]


def _block(grid: Grid, block: Sequence[tuple[str, str]]) -> Shown:
    columns = {
        "section": Column("", is_section=True),
        "row": Column(grid.corner),
        **{f"{group}: {heading}": Column(heading, "s", group=group) for group, heading in block},
    }
    rows = []
    for (section, name), cells in grid.cells.items():
        row = {"section": section, "row": name}
        for group, heading in block:
            number = grid.formats.get(group) or grid.formats.get(name) or grid.formats[""]
            sign = "+" if heading == IMPROVEMENT else ""
            row[f"{group}: {heading}"] = _text(cells.get((group, heading)), sign + number)
        if any(text != DASH for title, text in row.items() if title not in ("section", "row")):
            rows.append(row)
    return pd.DataFrame(rows, columns=list(columns)), columns


def _text(cell: Cell | None, number: str) -> str:
    if cell is None or np.isnan(cell.value):
        return DASH
    text = format(cell.value, number)
    if not np.isnan(cell.std):
        return f"{text} \N{PLUS-MINUS SIGN} {format(cell.std, number.lstrip('+'))}"
    return text if np.isnan(cell.original) else f"{text} ({format(cell.original, number)})"


CAPTIONS = {
    1: "Table 1 as the paper lays it out: one case per network and ordered pair.",
    2: "Table 2 as the paper lays it out: new categories from base categories' logits.",
    3: "Table 3 as the paper lays it out: one dependency cut off.",
    4: "Table 4 as the paper lays it out: accuracy within base and within new categories.",
}
