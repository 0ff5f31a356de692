"""Table 1, its distribution over all categories, and the sanity row of every network.

Frames hold plain numbers under machine-readable names (errors relative to the logit and accuracies
in percent, absolute errors in logits); `write_table` turns one into CSV, and into Markdown and LaTeX
with the numbers formatted as the paper formats them.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from neuraldeps.card import NetworkCard
from neuraldeps.cases import Case
from neuraldeps.estimators import ESTIMATORS

LOW_ERROR = 0.10
DASH = "-"
# Target categories of the paper's six cases, as far as its Figure 2 tells.
PAPER_CATEGORIES = {
    "ResNet-18": "jellyfish",
    "ResNet-50": "American egret",
    "Swin-T": "basketball",
    "ViT-S": "komondor",
    "ResNet-50 -> Swin-T": "bustard",
    "Swin-T -> ResNet-50": "hamster",
}
BACKBONES = {
    "ResNet-18": ("resnet18", "resnet_18"),
    "ResNet-50": ("resnet50", "resnet_50"),
    "Swin-T": ("swin_tiny", "swin_t"),
    "ViT-S": ("vit_small", "vit_s"),
}


@dataclass(frozen=True)
class Column:
    """How one column of a table is shown: its heading, its number format, its place for the brackets."""

    heading: str
    number: str = ""
    original: str | None = None
    is_long: bool = False


OVER_POSITIVES = re.compile(r"(abs_err|rel_err|acc|pos_acc)(?!.*_all$)")
TABLE1 = {
    "source": Column("source"),
    "target": Column("target"),
    "category": Column("category", is_long=True),
    "estimator": Column("estimator"),
    "dependency": Column("dependency", is_long=True),
    "support_size": Column("size", "d"),
    "alpha": Column("alpha", ".3g"),
    "abs_err": Column("abs err", ".3f"),
    "rel_err": Column("rel err (%)", ".1f"),
    "abs_err_all": Column("abs err, all images", ".3f"),
    "rel_err_all": Column("rel err, all images (%)", ".1f"),
    "acc": Column("acc (original) (%)", ".1f", original="acc_original"),
    "pos_acc": Column("pos acc (original) (%)", ".1f", original="pos_acc_original"),
}
DISTRIBUTION = {
    "source": Column("source"),
    "target": Column("target"),
    "at": Column("at"),
    "estimator": Column("estimator"),
    "n_categories": Column("categories", "d"),
    "support_size_median": Column("median size", ".0f"),
    "rel_err_q1": Column("rel err q1 (%)", ".1f"),
    "rel_err_median": Column("rel err median (%)", ".1f"),
    "rel_err_q3": Column("rel err q3 (%)", ".1f"),
    "rel_err_share_below_10": Column("rel err under 10 % (% of categories)", ".1f"),
    "pos_acc_drop_q1": Column("pos acc drop q1 (points)", ".1f"),
    "pos_acc_drop_median": Column("pos acc drop median (points)", ".1f"),
    "pos_acc_drop_q3": Column("pos acc drop q3 (points)", ".1f"),
}
NETWORKS = {
    "model": Column("model"),
    "img_size": Column("img_size", "d"),
    "top1": Column("top1", ".3f"),
    "top1_err": Column("top1_err", ".3f"),
    "top5": Column("top5", ".3f"),
    "top5_err": Column("top5_err", ".3f"),
    "param_count": Column("param_count", ".2f"),
    "crop_pct": Column("crop_pct", ".3g"),
    "interpolation": Column("interpolation"),
    "mean_logit": Column("mean logit", ".3f"),
    "n_categories": Column("categories", "d"),
    "rank_bound": Column("rank bound", "d"),
}


def table1(
    cases: Iterable[Case],
    paper: pd.DataFrame | None = None,
    *,
    split: str = "test",
    with_character: bool = True,
) -> pd.DataFrame:
    """One row per case and estimator, on one split, the paper's own row below where it has one.

    Parameters
    ----------
    cases : iterable of Case
        The chosen dependencies.
    paper : pandas.DataFrame, optional
        Columns of ``reference/paper_tables.csv``; given only where the data set is ImageNet.
    split : str
        The split that judges.
    with_character : bool
        Whether a name is followed by its character, which LaTeX can seldom print.
    """
    rows: list[dict[str, Any]] = []
    for case in cases:
        rows += [_case_row(case, split, estimator, with_character) for estimator in ESTIMATORS]
        if paper is not None and (row := _paper_row(case, paper)):
            rows.append(row)
    columns = [*TABLE1, "category_code", "relative_alpha", "acc_original", "pos_acc_original"]
    return pd.DataFrame(rows, columns=columns).astype({"support_size": "Int64"})


def _case_row(case: Case, split: str, estimator: str, with_character: bool) -> dict[str, Any]:
    metrics, original = case.metrics[split][estimator], case.original[split]
    return {
        "source": case.source,
        "target": case.target,
        "category": case.category.label if with_character else case.category.short,
        "category_code": case.category.code,
        "estimator": estimator,
        "dependency": case.equation(estimator, with_character=with_character),
        "support_size": case.support_size,
        "alpha": case.alpha,
        "relative_alpha": case.relative_alpha,
        "abs_err": metrics["absolute_error_positive"],
        "rel_err": 100 * metrics["relative_error_positive"],
        "abs_err_all": metrics["absolute_error"],
        "rel_err_all": 100 * metrics["relative_error"],
        "acc": 100 * metrics["accuracy"],
        "acc_original": 100 * original["accuracy"],
        "pos_acc": 100 * metrics["positive_accuracy"],
        "pos_acc_original": 100 * original["positive_accuracy"],
    }


def paper_backbone(model: str) -> str | None:
    """The paper's name of a network, from a name such as timm's, else None.

    Examples
    --------
    >>> paper_backbone("swin_tiny_patch4_window7_224.ms_in1k")
    'Swin-T'
    >>> paper_backbone("resnet18d") is None
    True
    """
    for backbone, names in BACKBONES.items():
        if re.match(rf"({'|'.join(names)})(?![a-z0-9])", model.casefold().replace("-", "_")):
            return backbone
    return None


def paper_numbers(paper: pd.DataFrame | None, table: int, **where: str | None) -> pd.DataFrame:
    """Look up the paper's own numbers in one of its tables.

    Parameters
    ----------
    paper : pandas.DataFrame, optional
        Columns of ``reference/paper_tables.csv``; None has no numbers.
    table : int
        The table's number in the paper.
    **where : str, optional
        What columns such as `backbone`, `setting` and `variant` must hold; None answers nothing.

    Returns
    -------
    pandas.DataFrame
        The rows that answer, in the paper's order: `metric`, `variant`, `value`, `std`.
    """
    if paper is None:
        return pd.DataFrame(columns=["metric", "variant", "value", "std"])
    found = paper["table"].astype(str) == str(table)
    for column, value in where.items():
        found &= paper[column] == value
    return paper[found]


def _paper_row(case: Case, paper: pd.DataFrame) -> dict[str, Any] | None:
    source, target = paper_backbone(case.source), paper_backbone(case.target)
    if source is None or target is None:
        return None
    backbone = source if case.source == case.target else f"{source} -> {target}"
    rows = paper_numbers(paper, 1, backbone=backbone)
    if rows.empty:
        return None
    values = rows.set_index(["metric", "variant"])["value"].astype(float)
    return {
        "source": case.source,
        "target": case.target,
        "category": PAPER_CATEGORIES.get(backbone),
        "estimator": "paper",
        "abs_err": values["abs_err", "ours"],
        "rel_err": values["rel_err", "ours"],
        "acc": values["acc", "ours"],
        "acc_original": values["acc", "original"],
        "pos_acc": values["pos_acc", "ours"],
        "pos_acc_original": values["pos_acc", "original"],
    }


def table1_distribution(
    evaluations: Iterable[xr.Dataset], support_sizes: Sequence[int], *, split: str = "test"
) -> pd.DataFrame:
    """Quartiles over all categories, on one split, at support sizes and at the stored penalties.

    A category without positive images in the split is left out; `n_categories` counts the others.
    Support sizes beyond the stored path are left out too.
    """
    rows: list[dict[str, Any]] = []
    for evaluation in evaluations:
        test = evaluation.sel(split=split)
        for size in support_sizes:
            if size in evaluation.support_size.values:
                rows += _size_rows(test, size)
        for penalty in range(evaluation.sizes["penalty"]):
            rows += _penalty_rows(test, penalty)
    return pd.DataFrame(rows, columns=list(DISTRIBUTION))


def _size_rows(test: xr.Dataset, size: int) -> list[dict[str, Any]]:
    at = test.sel(support_size=size)
    sizes = (at.support >= 0).sum("slot").values
    return [
        _distribution_row(
            test,
            f"support size {size}",
            estimator,
            sizes,
            at.relative_error_positive.sel(estimator=estimator).values,
            at.positive_accuracy.sel(estimator=estimator).values,
        )
        for estimator in ESTIMATORS
    ]


def _penalty_rows(test: xr.Dataset, penalty: int) -> list[dict[str, Any]]:
    at = test.isel(penalty=penalty)
    name = {"alpha": "alpha", "relative_alpha": "alpha / alpha_max"}[str(at.penalty_kind.values)]
    return [
        _distribution_row(
            test,
            f"{name} = {float(at.penalty_value):g}",
            estimator,
            at.support_size_at_penalty.values,
            at.relative_error_positive_at_penalty.sel(estimator=estimator).values,
            at.positive_accuracy_at_penalty.sel(estimator=estimator).values,
        )
        for estimator in ESTIMATORS
    ]


def _distribution_row(
    test: xr.Dataset,
    at: str,
    estimator: str,
    sizes: np.ndarray,
    relative_error: np.ndarray,
    positive_accuracy: np.ndarray,
) -> dict[str, Any]:
    counted = np.isfinite(relative_error)
    row: dict[str, Any] = {
        "source": test.attrs["source"],
        "target": test.attrs["target"],
        "at": at,
        "estimator": estimator,
        "n_categories": int(counted.sum()),
    }
    if not counted.any():
        return row
    drop = 100 * (test.original_positive_accuracy.values - positive_accuracy)[counted]
    error = 100 * relative_error[counted]
    return (
        row
        | {"support_size_median": float(np.median(sizes[counted]))}
        | _quartiles("rel_err", error)
        | {"rel_err_share_below_10": 100 * float(np.mean(relative_error[counted] < LOW_ERROR))}
        | _quartiles("pos_acc_drop", drop)
    )


def _quartiles(name: str, values: np.ndarray) -> dict[str, float]:
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75])
    return {f"{name}_q1": float(q1), f"{name}_median": float(median), f"{name}_q3": float(q3)}


def top_accuracy(
    logits: xr.Dataset, ranks: Sequence[int] = (1, 5), rows: int | None = None
) -> tuple[list[float], float]:
    """Top-k accuracies over the labelled images and the mean logit over all, block by block.

    Parameters
    ----------
    logits : xarray.Dataset
        Logits store: `logits` (sample, category), `label` (sample), -1 = none, if there are any.
    ranks : sequence of int
        The k of each accuracy.
    rows : int, optional
        Images held in memory at a time; by default as many as take 32 MiB.

    Returns
    -------
    list of float
        Fraction of labelled images whose label has fewer than k larger logits (an equal logit of
        an earlier category counts as larger, as in NumPy's arg-max); NaN where no image has a label.
    float
        Mean logit in float64, over the categories that are not masked.
    """
    masked = logits.attrs.get("masked_categories", [])
    n_samples, n_categories = logits.sizes["sample"], logits.sizes["category"]
    step = rows or max(1, 2**23 // n_categories)
    index = pd.Index(logits.category.values)
    label = logits.label.values if "label" in logits else np.full(n_samples, -1)
    hits, labelled, total = np.zeros(len(ranks)), 0, 0.0
    for first in range(0, n_samples, step):
        block = slice(first, first + step)
        values = logits.logits.isel(sample=block).transpose("sample", "category").values
        total += float(np.delete(values, masked, axis=1).sum(dtype=np.float64))
        position = index.get_indexer(label[block])
        known = position >= 0
        rank = _rank_of_label(values[known], position[known])
        hits += [np.count_nonzero(rank < k) for k in ranks]
        labelled += int(known.sum())
    mean = total / (n_samples * (n_categories - len(masked)))
    return [float(hit) / labelled if labelled else float("nan") for hit in hits], mean


def _rank_of_label(values: np.ndarray, position: np.ndarray) -> np.ndarray:
    own = np.take_along_axis(values, position[:, np.newaxis], axis=1)
    is_earlier = np.arange(values.shape[1]) < position[:, np.newaxis]
    return np.count_nonzero((values > own) | ((values == own) & is_earlier), axis=1)


def networks_table(
    networks: Mapping[str, tuple[xr.Dataset, NetworkCard | None]],
) -> pd.DataFrame:
    """The columns of timm's own results files, the mean logit and the bound on the rank.

    Parameters
    ----------
    networks : mapping of str to (xarray.Dataset, NetworkCard or None)
        Per network its logits on the test split and its card; none of imported logits.
    """
    rows = [_network_row(model, *network) for model, network in networks.items()]
    return pd.DataFrame(rows, columns=list(NETWORKS)).astype(
        {"img_size": "Int64", "rank_bound": "Int64"}
    )


def _network_row(model: str, logits: xr.Dataset, card: NetworkCard | None) -> dict[str, Any]:
    (top1, top5), mean_logit = top_accuracy(logits)
    return {
        "model": model,
        "img_size": card.input_size[-1] if card else None,
        "top1": 100 * top1,
        "top1_err": 100 * (1 - top1),
        "top5": 100 * top5,
        "top5_err": 100 * (1 - top5),
        "param_count": card.param_count / 1e6 if card else None,
        "crop_pct": card.crop_pct if card else None,
        "interpolation": card.interpolation if card else None,
        "mean_logit": mean_logit,
        "n_categories": logits.sizes["category"],
        "rank_bound": card.rank_bound if card else None,
    }


def is_pseudo(evaluation: xr.Dataset, split: str) -> bool:
    """Whether the network's own top-1 takes the place of the split's labels, which it has not."""
    return str(evaluation.attrs.get("positives", {}).get(split, "")).startswith("pseudo")


def name_pseudo_positives(
    frame: pd.DataFrame, columns: Mapping[str, Column]
) -> tuple[pd.DataFrame, dict[str, Column]]:
    """Name what was measured over pseudo-positives so, in the frame and in what is shown of it.

    Examples
    --------
    >>> frame, columns = name_pseudo_positives(pd.DataFrame({"acc": [1.0]}), {"acc": TABLE1["acc"]})
    >>> list(frame), columns["pseudo_acc"].heading
    (['pseudo_acc'], 'own top-1 kept (original) (%)')
    """
    names = {name: f"pseudo_{name}" for name in frame if OVER_POSITIVES.match(str(name))}
    shown = {
        names.get(name, name): replace(
            column,
            heading=_pseudo_heading(name, column.heading) if name in names else column.heading,
            original=names.get(column.original, column.original) if column.original else None,
        )
        for name, column in columns.items()
    }
    return frame.rename(columns=names), shown


def _pseudo_heading(name: str, heading: str) -> str:
    if name.startswith("acc"):
        return heading.replace("acc", "own top-1 kept")
    return (
        heading.replace("pos acc", "pseudo-pos acc")
        .replace("rel err", "pseudo-pos rel err")
        .replace("abs err", "pseudo-pos abs err")
    )


def _image_notes(evaluations: Sequence[xr.Dataset], fit: str, test: str) -> list[str]:
    """What the images lack: labels, all or some, or numbers."""
    notes = []
    if any(is_pseudo(one, test) for one in evaluations):
        notes.append(
            f"The images of the split {test} have no labels. Pseudo-positives: the images whose top-1 "
            "under the target network itself is the category; own top-1 kept: the images whose top-1 stays "
            "what it was when this one logit is replaced. Neither is an accuracy."
        )
    if fit != test and any(is_pseudo(one, fit) for one in evaluations):
        notes.append(
            f"The images of the split {fit} have no labels: a case is the best on its pseudo-positives there, "
            "the images whose top-1 under the target network itself is the category."
        )
    for split in dict.fromkeys((fit, test)):
        some = next((one.sel(split=split) for one in evaluations if "n_labelled" in one), None)
        if some is not None and some["n_labelled"] < some["n_samples"]:
            notes.append(
                f"Of {int(some['n_samples'])} images of the split {split} {int(some['n_labelled'])} have a "
                "label; accuracies, and all that is over the images of a category, are over these alone."
            )
    counts = {int(one["n_samples"].sel(split=fit)) for one in evaluations if "n_samples" in one}
    n_categories = max(one.sizes["target_category"] for one in evaluations)
    if counts and min(counts) < n_categories:
        notes.append(
            f"Warning: the split {fit} has {min(counts)} images, fewer than the {n_categories} "
            "categories. The second moment's rank is at most that, enough categories fit any logit "
            "exactly, and a dependency may be of these images and not of the networks."
        )
    return notes


def table1_notes(
    evaluations: Sequence[xr.Dataset],
    fit: str,
    test: str,
    *,
    support_size: Sequence[int],
    with_paper: bool,
) -> list[str]:
    """What a reader of Table 1 has to know before comparing its numbers with anything."""
    centering = ", ".join(sorted({str(one.attrs["centering"]) for one in evaluations}))
    estimators = "; ".join(f"{name}: {one.meaning}" for name, one in ESTIMATORS.items())
    notes = [
        f"Fitted and chosen on the split {fit}, reported on the split {test}. Size counts the categories that are "
        f"really in the dependency; alpha is scikit-learn's (lambda = 2 alpha). {estimators}. A case "
        f"that tables.table1.cases does not name is the best of all categories: the smallest relative error on its images in the split {fit}.",
        "The paper solves at one penalty: alpha 0.25 for Swin-T, 2.5 for the other networks. A case here is a "
        f"point of the exact path with {_span(support_size)} categories, at whatever alpha that is, also where "
        "a row of the paper's stands below it. table1_distribution has all categories at the penalties of "
        "covlasso.alpha.",
        "abs err (logits) and rel err are means over the images of the target category. The paper "
        "does not say so: we infer it, because its abs err / rel err gives the size of the right "
        "class's logit. Over all images the target's logit is near zero and the relative error says "
        "another thing; both populations are given.",
        "acc is the accuracy over all images with this one logit replaced: it can hardly move by "
        "construction. Error and accuracy on the images of the category are the evidence.",
        "Sparse is relative: one chosen case says little about the others (table1_distribution has "
        "them all), and a few categories that are easy to read may leave much of the logit "
        "unexplained. A small error is not yet a working dependency: where most of it is one "
        "look-alike, the look-alike wins and the accuracy on positives falls.",
        f"Logits: centering {centering}. The problem sees a constant added to all logits of an image, softmax "
        "does not; neither alpha nor the error over all images compares networks.",
    ]
    notes += _image_notes(evaluations, fit, test)
    if with_paper:
        notes.append(
            "Rows named paper: its Table 1. Its acc is no known metric (one network has two original "
            "values) and is not comparable."
        )
    return notes


def _span(support_size: Sequence[int]) -> str:
    lowest, highest = support_size
    return f"{lowest}" if lowest == highest else f"{lowest} to {highest}"


def distribution_notes(
    test: str, evaluations: Sequence[xr.Dataset] = (), fit: str = "fit"
) -> list[str]:
    """What the rows of the distribution are."""
    return [
        *(_image_notes(evaluations, fit, test) if evaluations else []),
        f"Split {test}, over all categories that have images there. Errors are relative to the "
        "target's logit, over the images of the category; pos acc drop is the original accuracy on "
        "these images less the one with the logit replaced.",
        "Support size k: the last point of the path before more than k categories enter. Median size "
        "counts the categories that are really there.",
    ]


def networks_notes(test: str) -> list[str]:
    """What the columns beyond timm's are."""
    return [
        f"Split {test}; param_count in millions; columns and order of timm's results files, then: mean "
        "logit over all images and categories, and the bound min(categories, features + 1) on the "
        "rank of the logits.",
    ]


def display(frame: pd.DataFrame, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Format every value as text, the original accuracies in brackets, missing ones as a dash."""
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
    """Write a frame as a Markdown table with its caption above and its notes below."""
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
    """Write a frame as a LaTeX table (packages booktabs and graphicx), everything escaped."""
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
    for path in outputs.values():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    numbers = frame[[name for name in frame if not str(name).endswith("_text")]]
    numbers.to_csv(outputs["csv"], index=False, float_format="%.10g")
    shown = frame if shown is None else shown
    write_markdown(shown, columns, Path(outputs["md"]), caption, notes)
    printable = shown if printable is None else printable
    write_latex(printable, columns, Path(outputs["tex"]), caption, notes)
