"""The paper's claims, and how a run's tables judge them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from neuraldeps.arms import PENALISED

Tables = Mapping[str, pd.DataFrame]
HOLDS, IN_PART, FAILS = "holds", "holds in part", "does not hold"
FEW, SEVERAL = 4, 10  # sources
NEAR = 20  # % of the logit: about the paper's own errors
FAR = 30  # the same between two networks
EXPLAINED = 0.8  # of the share of categories
SELDOM = 5.0  # % of the support
TRAINED = "the baseline, trained on all categories, is the control."


class Finding(NamedTuple):
    """What a run says of one claim.

    Attributes
    ----------
    verdict : str
        `HOLDS`, `IN_PART`, `FAILS`, or why it was not measured.
    measured : list of str
        What was measured, a sentence each.
    control : list of str
        What it stands beside, a sentence each.
    """

    verdict: str
    measured: list[str]
    control: list[str]


@dataclass(frozen=True)
class Claim:
    """A claim of the paper, and how a run's tables judge it.

    Attributes
    ----------
    statement : str
        The claim, with its section.
    rule : str
        When it is said to hold.
    tables : tuple of str
        Tables that it is judged by, and that a user can ask for; without the first it is not.
    key : str
        Of the configuration, that the first table depends on.
    judge : callable
        From those tables to a `Finding`.
    """

    statement: str
    rule: str
    tables: tuple[str, ...]
    key: str
    judge: Callable[[Tables], Finding]


def percent(value: float) -> str:
    """A share as sentences have it.

    Parameters
    ----------
    value : float
        In percent.

    Returns
    -------
    str
        With its unit.
    """
    return f"{value:.1f} %"


def _at(frame: pd.DataFrame, **wanted: object) -> pd.DataFrame:
    for name, value in wanted.items():
        frame = frame[frame[name] == value]
    return frame


def _within(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["source"] == frame["target"]]


def _few_suffice(tables: Tables) -> Finding:
    rows = _within(tables["table1_distribution"])
    rows = _at(rows, at=f"support size {FEW}")
    column = f"rel_err_share_below_{NEAR}"
    shares = {name: _at(rows, estimator=name)[column] for name in ("refit", "subset")}
    known = {name: share.dropna() for name, share in shares.items()}
    if any(share.empty for share in known.values()):
        return Finding("not measured, because no category has images", [], [])
    verdicts = [(share >= 50).all() for share in known.values()]
    verdict = HOLDS if verdicts[0] else IN_PART if verdicts[1] else FAILS
    measured = [
        f"Within {row['source']}, {FEW} others by {row['estimator']} are within {NEAR} % of the logit for "
        f"{percent(row[column])} of the categories (median error {percent(row['rel_err_median'])})."
        for _, row in rows[rows["estimator"].isin(known)].iterrows()
    ]
    return Finding(verdict, measured, _controls(tables, within=True, size=FEW, limit=NEAR))


def _controls(tables: Tables, *, within: bool, size: int, limit: int) -> list[str]:
    """What the same measure says of the controls."""
    if "controls" not in tables:
        return ["not measured, because controls.enabled is false."]
    rows = tables["controls"]
    rows = rows[(rows["source"] == rows["target"]) == within]
    column = f"rel_err_share_below_{limit}"
    is_control = (rows["control"] != "none") & (rows["sources_by"] == "subset")
    is_control |= rows["sources_by"].isin(["random", "nearest"])
    shown = rows[is_control & (rows["support_size"] == size)].dropna(subset=[column])
    return [
        f"{row['target']}, {row['sources_by']}"
        f"{'' if row['control'] == 'none' else ' of ' + row['control'] + ' logits'}: "
        f"{percent(row[column])} (median error {percent(row['rel_err_median'])})."
        for _, row in shown.iterrows()
    ]


def _sparse(tables: Tables) -> Finding:
    rows = _within(tables["table1_distribution"])
    rows = rows[(rows["estimator"] == "lasso") & rows["at"].str.startswith("alpha")]
    rows = rows.dropna(subset=["support_size_median"])
    if rows.empty:
        return Finding("not measured, because no penalty is given", [], [])
    n_categories = tables["networks"]["n_categories"].max()
    share = 100 * rows["support_size_median"] / n_categories
    verdict = HOLDS if (share <= 10).all() else IN_PART if (share <= 10).any() else FAILS
    measured = [
        f"Within {row['source']} at {row['at']}, the median category has {row['support_size_median']:.0f} "
        f"sources of {n_categories - 1:.0f}, with a median error of {percent(row['rel_err_median'])}."
        for _, row in rows.iterrows()
    ]
    return Finding(verdict, measured, ["none: a penalty makes any solution sparse."])


def _between(tables: Tables) -> Finding:
    rows = tables["table1_distribution"]
    rows = rows[(rows["source"] != rows["target"]) & (rows["estimator"] == "subset")]
    sizes = rows["at"].str.extract(r"support size (\d+)")[0].astype(float)
    rows = rows[sizes == sizes.max()]
    column = f"rel_err_share_below_{FAR}"
    rows = rows.dropna(subset=[column])
    if rows.empty:
        return Finding("not measured, because the run has no pair of two networks", [], [])
    shares = rows[column]
    verdict = HOLDS if (shares >= 50).all() else IN_PART if (shares >= 5).any() else FAILS
    measured = [
        f"{row['source']} -> {row['target']}, {row['at'].removeprefix('support size ')} others: within "
        f"{FAR} % for {percent(row[column])} of the categories (median error "
        f"{percent(row['rel_err_median'])})."
        for _, row in rows.iterrows()
    ]
    control = _controls(tables, within=False, size=SEVERAL, limit=FAR)
    if "controls" in tables:
        own = _at(tables["controls"], sources_by="own").dropna(subset=[column])
        control += [
            f"{row['source']} -> {row['target']}, the category of the same name alone: {percent(row[column])} "
            f"(median error {percent(row['rel_err_median'])})."
            for _, row in own.iterrows()
        ]
    return Finding(verdict, measured, control)


def _conjecture(tables: Tables) -> Finding:
    rows = tables["sparsity"].dropna(subset=["support_supposed"])
    if rows.empty:
        return Finding("not measured, because no solution has a source", [], [])
    most = rows["support_supposed"].max()
    verdict = (
        HOLDS
        if most <= SELDOM
        else IN_PART
        if rows["support_supposed"].median() <= SELDOM
        else FAILS
    )
    measured = [
        f"{row['source']} -> {row['target']} at {row['at']}: counter-examples: {row['counterexamples']:.0f}, "
        f"{row['support_supposed']:.2f} % of all sources of all solutions, in "
        f"{percent(row['targets_with_counterexample'])} of the targets."
        for _, row in rows.iterrows()
    ]
    control = [
        f"Theorem 3, which is proven, screens at most {percent(rows['screened'].max())} of the sources, with "
        f"{rows['violations'].sum():.0f} violations."
    ]
    return Finding(verdict, measured, control)


def _redundancy(tables: Tables) -> Finding:
    rows = tables["redundancy"]
    if rows.empty:
        return Finding("not measured, because theory.redundancy is false", [], [])
    measured = [
        f"{row['model']}: rank {row['rank']:.0f} of {row['n_categories']:.0f} categories"
        + (f" ({row['features']:.0f} features + 1)" if pd.notna(row["features"]) else "")
        + f"; err(0) is exactly 0 for {row['n_exact_zero']:.0f} categories."
        for _, row in rows.iterrows()
    ]
    zero = (rows["n_exact_zero"] == rows["n_categories"]).all()
    if "controls" not in tables:
        return Finding(IN_PART if zero else FAILS, measured, ["controls.enabled is false."])
    column = f"rel_err_share_below_{NEAR}"
    control = _within(_at(tables["controls"], sources_by="subset", support_size=FEW))
    shares = control.pivot_table(index="target", columns="control", values=column)
    if not {"none", "gaussian"} <= set(shares.columns):
        return Finding(IN_PART if zero else FAILS, measured, ["no Gaussian control was solved."])
    is_explained = bool((shares["gaussian"] >= EXPLAINED * shares["none"]).all())
    said = [
        f"{target}: best subsets of {FEW} are within {NEAR} % for {percent(row['none'])} of the categories; of "
        f"Gaussian logits with the same eigenvalues, learned by nobody, for {percent(row['gaussian'])}."
        for target, row in shares.iterrows()
    ]
    return Finding(HOLDS if is_explained else IN_PART if zero else FAILS, measured, said)


def _new_categories(tables: Tables) -> Finding:
    rows = tables["table2"].dropna(subset=["improvement"])
    best = rows.groupby("variant")["improvement"].min()
    verdict = (
        HOLDS if (best >= -1).any() else IN_PART if (rows["improvement"] >= -1).any() else FAILS
    )
    measured = [
        f"{row['model']} {row['setting']}, {row['variant']}: {row['ours']:.2f} % against "
        f"{row['baseline']:.2f} % of the baseline ({row['improvement']:+.2f})."
        for _, row in rows.iterrows()
    ]
    return Finding(verdict, measured, [TRAINED])


def _groups(tables: Tables) -> Finding:
    rows = tables["table4"]
    is_baseline = rows["classifier"] == "baseline"
    rows = rows[~is_baseline].merge(
        rows[is_baseline], on=["model", "setting"], suffixes=("", "_baseline")
    )
    for one in ("base", "new"):
        rows[one] = rows[f"{one}_restricted"] - rows[f"{one}_restricted_baseline"]
    least = rows[["base", "new"]].min(axis=1)
    by_variant = least.groupby(rows["classifier"]).min()
    verdict = HOLDS if (by_variant >= -1).any() else IN_PART if (least >= -1).any() else FAILS
    measured = [
        f"{row['model']} {row['setting']}, {row['classifier']}: base {row['base']:+.2f}, new "
        f"{row['new']:+.2f} points within each group; over all categories {row['all_full']:.2f} % against "
        f"{row['all_full_baseline']:.2f} %."
        for _, row in rows.iterrows()
    ]
    return Finding(verdict, measured, [TRAINED])


def _cut_off(tables: Tables) -> Finding:
    rows = tables["table3"]
    arms = rows[rows["arm"].isin(PENALISED)]
    verdict = HOLDS if (arms["theta_relative"].abs() < 1e-3).all() else FAILS
    measured = [
        f"{row['model']}, {row['arm']}: theta {row['theta_relative']:.3f} at equal alpha / alpha_max; "
        f"E[f_i^2] is {row['power_target']:.2f}, accuracy on i {row['acc_target']:.1f} %."
        for _, row in arms.iterrows()
    ]
    control = [
        f"{row['model']}, fine-tuned without it: theta {row['theta_relative']:.3f}, E[f_i^2] "
        f"{row['power_target']:.2f}, accuracy on i {row['acc_target']:.1f} %."
        for _, row in _at(rows, arm="control").iterrows()
    ]
    return Finding(verdict, measured, control)


def _regulariser_helps(tables: Tables) -> Finding:
    rows = tables["table3"]
    arms = rows[rows["arm"].isin(PENALISED)]
    better = (arms["acc_low"] > 0) & (arms["aupr_low"] > 0)
    some = (arms["acc_low"] > 0) | (arms["aupr_low"] > 0)
    verdict = HOLDS if better.all() else IN_PART if some.any() else FAILS
    measured = [
        f"{row['model']}, {row['arm']} against the control: accuracy {row['acc_diff']:+.2f} "
        f"[{row['acc_low']:+.2f}, {row['acc_high']:+.2f}], AUPR {row['aupr_diff']:+.2f} "
        f"[{row['aupr_low']:+.2f}, {row['aupr_high']:+.2f}] points."
        for _, row in arms.iterrows()
    ]
    baseline = _at(rows, arm="baseline")
    control = [
        f"{row['model']}, not fine-tuned at all, against the control: accuracy {row['acc_diff']:+.2f}, AUPR "
        f"{row['aupr_diff']:+.2f} points."
        for _, row in baseline.iterrows()
    ]
    return Finding(verdict, measured, control)


def _cost(tables: Tables) -> Finding:
    rows = tables["table2_times"]
    trained = rows[rows["step"] == "train network"]
    learned = rows[rows["step"].str.startswith("learn W")]
    if trained.empty or learned.empty:
        return Finding("not measured, because the times of this run's jobs are gone", [], [])
    seconds = pd.concat(
        [one.groupby("model")["seconds"].median() for one in (trained, learned)],
        axis=1,
        keys=["train", "learn"],
    ).dropna()
    verdict = HOLDS if (seconds["train"] > seconds["learn"]).all() else FAILS
    measured = [
        f"{model}: W is learned in {row['learn']:.2f} s at the median, a network is trained in "
        f"{row['train']:.0f} s."
        for model, row in seconds.iterrows()
    ]
    return Finding(verdict, measured, [TRAINED])


CLAIMS = {
    "C1": Claim(
        "A category's logit is a combination of a few others (Sec. 2.1).",
        f"{HOLDS} if {FEW} of CovLasso's categories, refitted, are within {NEAR} % of the logit for half of the "
        f"categories of every network; {IN_PART} if only best subsets are.",
        ("table1_distribution", "controls"),
        "roles.test",
        _few_suffice,
    ),
    "C2": Claim(
        "Solutions are sparse (Sec. 2.3).",
        f"{HOLDS} if the median solution has at most 10 % of the categories at every penalty.",
        ("table1_distribution", "networks"),
        "covlasso.relative_alpha",
        _sparse,
    ),
    "C3": Claim(
        "Dependencies exist between two independently trained networks (Sec. 2.4).",
        f"{HOLDS} if the largest best subset is within {FAR} % for half of the categories of every pair; "
        f"{IN_PART} from 5 % of them on.",
        ("table1_distribution", "controls"),
        "pairs",
        _between,
    ),
    "C4": Claim(
        "Conjecture 1, a small correlation means no part in the solution, is seldom wrong (Sec. 2.3).",
        f"{HOLDS} if at most {SELDOM:g} % of the sources of all solutions were supposed to have none, at every "
        "size and penalty.",
        ("sparsity",),
        "theory.enabled",
        _conjecture,
    ),
    "C5": Claim(
        "Redundancy of the logits explains dependencies (Sec. 2.2).",
        f"{HOLDS} if Gaussian logits with the same eigenvalues have at least four fifths as many within {NEAR} % at {FEW} "
        f"sources; else {IN_PART} if every err(0) is exactly 0.",
        ("redundancy", "controls"),
        "theory.redundancy",
        _redundancy,
    ),
    "C6": Claim(
        "New categories are learned as combinations of base categories' logits, as well as by training on "
        "all (Sec. 3.1, Table 2).",
        f"{HOLDS} if one variant is at most a point below the baseline in every setting.",
        ("table2",),
        "generalizability.models",
        _new_categories,
    ),
    "C7": Claim(
        "Neither base nor new categories suffer (Sec. 3.1, Table 4).",
        f"{HOLDS} if one variant is at most a point below the baseline within both groups in every setting.",
        ("table4",),
        "generalizability.models",
        _groups,
    ),
    "C8": Claim(
        "The regulariser cuts a dependency off (Sec. 3.3, Table 3).",
        f"{HOLDS} if theta is 0 at equal alpha / alpha_max in every arm that has it.",
        ("table3",),
        "robustness.models",
        _cut_off,
    ),
    "C9": Claim(
        "Cutting it off improves accuracy and the detection of other images (Sec. 3.3, Table 3).",
        f"{HOLDS} if the 95 % intervals of both differences from the control lie above 0 in every such arm.",
        ("table3",),
        "robustness.models",
        _regulariser_helps,
    ),
    "C10": Claim(
        "Learning W costs less than training (Sec. 3.1).",
        f"{HOLDS} if the median W is learned faster than the network is trained.",
        ("table2_times",),
        "generalizability.models",
        _cost,
    ),
}


def judge_claims(tables: Tables) -> dict[str, Finding]:
    """Judge every claim by a run's tables.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        By name, as in ``results/tables/``; what a run does not have is left out.

    Returns
    -------
    dict of str to Finding
        By the claim's number.
    """
    return {
        name: claim.judge(tables)
        if claim.tables[0] in tables
        else Finding(
            f"not measured, because this run has no {claim.tables[0]} ({claim.key})", [], []
        )
        for name, claim in CLAIMS.items()
    }
