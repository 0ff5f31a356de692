"""Table 3: every arm's numbers, and their differences from the control, tested over images and seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import ttest_rel

from neuraldeps.arms import CONTROL
from neuraldeps.categories import Category
from neuraldeps.robustness.detection import OOD_METRICS, ood_areas
from neuraldeps.robustness.significance import (
    bootstrap_differences,
    holm,
    labelled_images,
    mcnemar,
    right_images,
)
from neuraldeps.tables.columns import Column
from neuraldeps.tables.paper import paper_backbone, paper_numbers

SEEDS_TO_TEST = 5


@dataclass(frozen=True)
class Measure:
    """One number of every arm: what tables call it, its unit there, and how they format it."""

    heading: str
    format: str
    unit: str = ""


ACCURACY = {"acc": Measure("acc", ".2f", " (%)")}
AREAS = {name: Measure(one.heading, one.format, " (%)") for name, one in OOD_METRICS.items()}
OF_DEPENDENCY = {
    "theta_alpha": Measure("theta, equal alpha", ".3f"),
    "theta_relative": Measure("theta, equal alpha / alpha_max", ".3f"),
    "n_sources": Measure("sources of i", ".1f"),
    "unexplained": Measure("unexplained of i", ".1f", " (%)"),
    "alpha_max": Measure("alpha_max of i", ".2f"),
}
OF_CATEGORIES = {
    "acc_target": Measure("acc i", ".1f", " (%)"),
    "acc_source": Measure("acc j", ".1f", " (%)"),
    "power_target": Measure("E f_i^2", ".2f"),
    "power_source": Measure("E f_j^2", ".2f"),
}
COMPARED = ACCURACY | AREAS  # with the control, tested and resampled
MEASURES = COMPARED | OF_DEPENDENCY | OF_CATEGORIES


def _columns() -> dict[str, Column]:
    """Columns of the shown table: every measure, and its difference from the control next to it."""
    columns = {"model": Column("model"), "arm": Column("arm")}
    for name, one in (ACCURACY | OF_DEPENDENCY | AREAS | OF_CATEGORIES).items():
        columns[f"{name}_text"] = Column(f"{one.heading}{one.unit}", "s")
        if name in COMPARED:
            columns[f"{name}_against"] = Column(f"{one.heading} - control", "s")
    return columns


def arm_measures(measured: xr.Dataset) -> dict[str, dict[str, float]]:
    """Numbers of every arm of one network and seed; accuracies and areas in percent.

    Parameters
    ----------
    measured : xarray.Dataset
        Robustness store.

    Returns
    -------
    dict of str to dict of str to float
        By arm, then by the names of `MEASURES`.
    """
    measured = labelled_images(measured)
    label, category = measured["label"].values, measured["source_category"].values
    target, source = (category[measured.attrs["pair"][side]] for side in ("target", "source"))
    is_right, inside = right_images(measured), np.isfinite(measured["anomaly_score"].values[0])
    rows = {}
    for a, arm in enumerate(measured["arm"].values):
        at = measured.isel(arm=a)
        areas = ood_areas(at["anomaly_score"].values[inside], at["ood_anomaly_score"].values)
        rows[str(arm)] = {
            "acc": _percent(is_right[a], label >= 0),
            **{name: 100 * area for name, area in areas.items()},
            "theta_alpha": float(at["theta"][0]),
            "theta_relative": float(at["theta"][1]),
            "n_sources": float(at["support_size"][1]),
            "unexplained": 100 * float(at["squared_error"][1] / at["second_moment_target"]),
            "alpha_max": float(at["alpha_max"]),
            "acc_target": _percent(is_right[a], label == target),
            "acc_source": _percent(is_right[a], label == source),
            "power_target": float(at["second_moment_target"]),
            "power_source": float(at["second_moment_source"]),
        }
    return rows


def _percent(is_right: np.ndarray, among: np.ndarray) -> float:
    return 100 * float(is_right[among].mean()) if among.any() else float("nan")


def table3(
    measured: Mapping[str, Sequence[xr.Dataset]],
    paper: pd.DataFrame | None = None,
    *,
    n_bootstrap: int,
    seed: int,
) -> pd.DataFrame:
    """One row per network and arm, the paper's own rows below where it has them.

    Parameters
    ----------
    measured : mapping of str to sequence of xarray.Dataset
        Per network its measures, one per seed.
    paper : pandas.DataFrame, optional
        Columns of ``reference/paper_tables.csv``; given only where the data set is ImageNet.
    n_bootstrap : int
        Resamples of the images.
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        Mean and `_std` over seeds of every measure; for accuracy, AUPR and AUROC the mean difference
        from the control `_diff`, its 95 % percentile interval over images `_low`, `_high`, and from
        five seeds on the p of the paired t-test over seeds `_p_seeds`, and adjusted for all of these
        tests in the table `_p_holm`; `acc_p_images` is McNemar's, with one seed, not adjusted.
    """
    rows: list[dict[str, Any]] = []
    for model, per_seed in measured.items():
        rows += _model_rows(model, per_seed, n_bootstrap, seed)
        rows += _paper_rows(model, paper)
    frame = pd.DataFrame(rows)
    tests = [f"{metric}_p_seeds" for metric in COMPARED]
    if tests[0] in frame:
        adjusted = [f"{metric}_p_holm" for metric in COMPARED]
        frame[adjusted] = holm(frame[tests].to_numpy(float))
    return frame


def _model_rows(
    model: str, measured: Sequence[xr.Dataset], n_bootstrap: int, seed: int
) -> list[dict[str, Any]]:
    numbers = [arm_measures(one) for one in measured]
    drawn = bootstrap_differences(measured, n_bootstrap, seed)
    right = right_images(labelled_images(measured[0]))
    arms = list(numbers[0])
    rows = []
    for a, arm in enumerate(arms):
        row: dict[str, Any] = {"model": model, "arm": arm, "n_seeds": len(measured)}
        for name in MEASURES:
            values = np.array([one[arm][name] for one in numbers])
            row[name] = values.mean()
            row[f"{name}_std"] = values.std(ddof=1) if len(values) > 1 else np.nan
        if arm != CONTROL:
            for metric in COMPARED:
                row |= _against_control(metric, arm, numbers, drawn[arm, metric])
            if len(measured) == 1:
                row["acc_p_images"] = mcnemar(right[a], right[arms.index(CONTROL)])
        rows.append(row)
    return rows


def _against_control(
    metric: str, arm: str, numbers: Sequence[Mapping[str, Mapping[str, float]]], drawn: np.ndarray
) -> dict[str, float]:
    own = np.array([one[arm][metric] for one in numbers])
    control = np.array([one[CONTROL][metric] for one in numbers])
    low, high = np.quantile(drawn, [0.025, 0.975])
    result = {
        f"{metric}_diff": float((own - control).mean()),
        f"{metric}_low": float(low),
        f"{metric}_high": float(high),
    }
    if len(own) >= SEEDS_TO_TEST:
        varies = np.ptp(own - control) > 0
        result[f"{metric}_p_seeds"] = float(ttest_rel(own, control).pvalue) if varies else np.nan
    return result


def _paper_rows(model: str, paper: pd.DataFrame | None) -> list[dict[str, Any]]:
    theirs = paper_numbers(paper, 3, backbone=paper_backbone(model))
    names = {"acc": "acc", "aupr": "aupr", "dependency_coefficient": "theta_alpha"}
    rows = []
    for variant, values in theirs.groupby("variant", sort=False):
        row: dict[str, Any] = {"model": model, "arm": f"paper: {variant}"}
        for _, entry in values.iterrows():
            row[names[entry["metric"]]] = float(entry["value"])
            row[f"{names[entry['metric']]}_std"] = float(entry["std"])
        rows.append(row)
    return rows


def shown_table(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, Column]]:
    """Text of every cell, and the columns that have something to say.

    Parameters
    ----------
    frame : pandas.DataFrame
        From `table3`.

    Returns
    -------
    tuple of pandas.DataFrame and dict
        Text of the cells, and what is shown of them.
    """
    shown = frame[["model", "arm"]].copy()
    columns, compared = _columns(), COMPARED.items()
    for name in MEASURES:
        shown[f"{name}_text"] = [_with_deviation(row, name) for _, row in frame.iterrows()]
    for metric in COMPARED:
        shown[f"{metric}_against"] = [_with_interval(row, metric) for _, row in frame.iterrows()]
    for column, heading in (
        ("acc_p_images", "acc p (images)"),
        *((f"{name}_p_seeds", f"{one.heading.upper()} p (seeds)") for name, one in compared),
        *((f"{name}_p_holm", f"{one.heading.upper()} p (seeds, Holm)") for name, one in compared),
    ):
        if column in frame:
            shown[column] = frame[column]
            columns[column] = Column(heading, ".2g")
    return shown, columns


def printable_table(shown: pd.DataFrame) -> pd.DataFrame:
    """The shown table in characters that LaTeX can print: ± as +-.

    Parameters
    ----------
    shown : pandas.DataFrame
        From `shown_table`.

    Returns
    -------
    pandas.DataFrame
        The same in ASCII.
    """
    return shown.map(lambda text: text.replace("±", "+-") if isinstance(text, str) else text)


def _with_deviation(row: pd.Series, name: str) -> str | None:
    value, deviation = row[name], row[f"{name}_std"]
    if pd.isna(value):
        return None
    form = MEASURES[name].format
    text = format(value, form)
    return text if pd.isna(deviation) else f"{text} ± {format(deviation, form)}"


def _with_interval(row: pd.Series, metric: str) -> str | None:
    if pd.isna(row[f"{metric}_diff"]):
        return None
    low, high = row[f"{metric}_low"], row[f"{metric}_high"]
    return f"{row[f'{metric}_diff']:+.2f} [{low:+.2f}, {high:+.2f}]"


def table3_notes(
    measured: Mapping[str, Sequence[xr.Dataset]],
    penalty: str,
    start: str,
    n_bootstrap: int,
    *,
    with_paper: bool,
) -> list[str]:
    """What a reader of Table 3 has to know, the pair of every network first.

    Parameters
    ----------
    measured : mapping of str to sequence of xarray.Dataset
        Per network its stores, one per seed.
    penalty : str
        What the losses of the penalised arms are.
    start : str
        How the network was trained that fine-tuning starts from.
    n_bootstrap : int
        Draws of each interval.
    with_paper : bool
        Whether the paper's rows are shown.

    Returns
    -------
    list of str
        One note each.
    """
    first = [per_seed[0] for per_seed in measured.values()]
    notes = [_pair_note(model, per_seed[0].attrs["pair"]) for model, per_seed in measured.items()]
    centering = ", ".join(sorted({str(one.attrs["centering"]) for one in first}))
    restricted = ", ".join(sorted({str(one.attrs["n_restricted"]) for one in first}))
    seeds = max(len(per_seed) for per_seed in measured.values())
    n_arms = sum(one.sizes["arm"] - 1 for one in first)
    notes += [
        f"{penalty} {start}",
        "control: fine-tuned for as long, on the same images in the same order, without the penalty: a gain "
        "that it shows as well comes from fine-tuning, not from the regulariser. Differences are from it, "
        f"with 95 % percentile intervals over {n_bootstrap} paired resamples of the images"
        + ("; acc p (images): McNemar's exact test." if seeds == 1 else ", seeds averaged.")
        + (" p (seeds): paired t-test over seeds." if seeds >= SEEDS_TO_TEST else ""),
        "Images are resampled and tested as if they were independent. They come in categories, and those of one "
        "category tend to be right or wrong together: intervals and tests over images say less about other "
        "categories than they seem to. " + _multiplicity(seeds, n_arms),
        "theta: coefficient of j in the CovLasso dependency of i, solved on the arm's own logits of the "
        "fit split; at the alpha at which the baseline's dependency has at most the pair's support size, and at "
        "the same fraction of the arm's own alpha_max. Shrunken logits make the former zero "
        "trivially: compare alpha_max, E f_i^2 and E f_j^2 (squared logits), and the accuracies on the "
        "two categories' own images. sources and unexplained of i (its share of E f_i^2): the same "
        "dependency at that fraction, whatever its sources are.",
        f"{_headings()}: anomaly score -max softmax, out-of-distribution images are the positive "
        f"class; softmax over {restricted} categories. A random score has an AUPR of {_ood_share(first)} %, "
        "the share of these images.",
        f"Logits: centering {centering}.",
    ]
    if seeds > 1:
        notes.append(
            f"Mean and standard deviation over {seeds} seeds of the training; the pair is the first seed's."
        )
    else:
        notes.append("One seed: intervals and tests say nothing about another training.")
    if with_paper:
        notes.append("Rows named paper: the paper's own Table 3, which is of other pairs.")
    return notes


def _multiplicity(seeds: int, n_arms: int) -> str:
    """How many tests the table has, and what was done about it."""
    if seeds >= SEEDS_TO_TEST:
        return (
            f"The intervals are not adjusted for their number. There are up to {n_arms * len(COMPARED)} "
            "t-tests; p (seeds, Holm) is adjusted for all of them together by Holm's method."
        )
    tests = f" and {n_arms} tests" if seeds == 1 else ""
    return f"{n_arms * len(COMPARED)} intervals{tests}: none is adjusted for their number."


def _headings() -> str:
    """Names of the out-of-distribution metrics in a sentence."""
    *most, last = [metric.heading for metric in OOD_METRICS.values()]
    return f"{', '.join(most)} and {last}" if most else last


def _ood_share(measured: Sequence[xr.Dataset]) -> str:
    """Percent of images that are out of distribution, of each network."""
    shares = []
    for one in map(labelled_images, measured):
        n_inside = int(np.isfinite(one["anomaly_score"].values[0]).sum())
        shares.append(100 * one.sizes["ood_sample"] / (n_inside + one.sizes["ood_sample"]))
    return ", ".join(sorted({f"{share:.1f}" for share in shares}))


def _pair_note(model: str, pair: Mapping[str, Any]) -> str:
    i = Category(pair["target_name"], pair["target_code"])
    j = Category(pair["source_name"], pair["source_code"])
    how = "configured" if pair["chosen"] == "config" else "chosen automatically"
    shape = pair["shape_distance"]
    return (
        f"{model}: i = {i.short} ({i.code}), j = {j.short} ({j.code}), {how}: coefficient "
        f"{pair['coef']:.3f} in the main dependency on at most {pair['support_size']} categories; "
        f"words in common: {pair['shared_words']}"
        + ("." if shape is None else f"; distance of the shapes: {shape:.2f} (0 same, 1 disjoint).")
    )
