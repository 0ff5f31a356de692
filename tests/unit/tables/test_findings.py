"""Every claim is judged by its rule from a run's tables, and says why where it cannot be."""

import pandas as pd
import pytest

from neuraldeps.tables.claims import CLAIMS, FAILS, HOLDS, IN_PART, judge_claims
from neuraldeps.tables.findings import beyond_the_paper, findings_page, write_findings

NETWORKS = pd.DataFrame({"n_categories": [1000, 1000]})


def distribution(refit=60.0, subset=90.0, between=10.0, sources=40.0):
    shared = {"n_categories": 1000, "rel_err_median": 12.0}
    rows = [
        {"source": "a", "target": target, "at": f"support size {size}", "estimator": estimator}
        | shared
        | {"rel_err_share_below_20": share, "rel_err_share_below_30": share}
        for target, size, estimator, share in (
            ("a", 4, "refit", refit),
            ("a", 4, "subset", subset),
            ("b", 4, "subset", 0.0),
            ("b", 20, "subset", between),
        )
    ]
    at_penalty = {"source": "a", "target": "a", "at": "alpha = 2.5", "estimator": "lasso"}
    return pd.DataFrame([*rows, at_penalty | shared | {"support_size_median": sources}])


def controls(gaussian=55.0, own=60.0):
    rows = [
        ("a", "a", "none", "subset", own),
        ("a", "a", "gaussian", "subset", gaussian),
        ("a", "a", "none", "random", 0.0),
    ]
    columns = ["source", "target", "control", "sources_by", "rel_err_share_below_20"]
    return pd.DataFrame(rows, columns=columns).assign(
        support_size=4, rel_err_share_below_30=1.0, rel_err_median=50.0
    )


def sparsity(supposed=1.0):
    return pd.DataFrame(
        {
            "source": ["a", "a"],
            "target": ["a", "b"],
            "at": ["size 4", "alpha 2.5"],
            "screened": [40.0, 0.0],
            "violations": [0, 0],
            "counterexamples": [0, 7],
            "support_supposed": [0.0, supposed],
            "targets_with_counterexample": [0.0, 3.0],
        }
    )


def redundancy(n_zero=1000):
    row = {"model": "a", "rank": 129, "n_categories": 1000, "features": 129}
    return pd.DataFrame([row | {"n_exact_zero": n_zero}])


def table2(improvement):
    row = {"model": "a", "setting": "900->100", "ours": 80.0, "baseline": 80.0 - improvement}
    variants = {"literal": improvement, "other": -9.0}
    rows = [row | {"variant": name, "improvement": one} for name, one in variants.items()]
    return pd.DataFrame(rows)


def table4(new):
    own = {"model": "a", "setting": "900->100", "all_full": 70.0, "base_restricted": 70.0}
    return pd.DataFrame(
        [
            own | {"classifier": "baseline", "new_restricted": 80.0},
            own | {"classifier": "literal", "new_restricted": 80.0 + new},
        ]
    )


def table3(theta, low):
    shared = {"model": "a", "power_target": 9.0, "acc_target": 90.0, "acc_diff": 0.0}
    shared |= {"aupr_diff": 0.1, "acc_high": 1.0, "aupr_high": 1.0, "aupr_low": low}
    rows = [("baseline", 0.5, 0.1), ("control", 0.4, None), ("literal", theta, low)]
    return pd.DataFrame(
        [shared | {"arm": arm, "theta_relative": one, "acc_low": two} for arm, one, two in rows]
    )


def times(train):
    steps = ["train network", "learn W, literal"]
    return pd.DataFrame({"model": ["a", "a"], "step": steps, "seconds": [train, 2.0]})


@pytest.mark.parametrize(
    ("claim", "tables", "verdict"),
    [
        ("C1", {"networks": NETWORKS, "table1_distribution": distribution()}, HOLDS),
        ("C1", {"networks": NETWORKS, "table1_distribution": distribution(refit=40)}, IN_PART),
        (
            "C1",
            {"networks": NETWORKS, "table1_distribution": distribution(refit=40, subset=49)},
            FAILS,
        ),
        ("C2", {"networks": NETWORKS, "table1_distribution": distribution()}, HOLDS),
        ("C2", {"networks": NETWORKS, "table1_distribution": distribution(sources=101)}, FAILS),
        ("C3", {"networks": NETWORKS, "table1_distribution": distribution(between=50)}, HOLDS),
        ("C3", {"networks": NETWORKS, "table1_distribution": distribution(between=10)}, IN_PART),
        ("C3", {"networks": NETWORKS, "table1_distribution": distribution(between=4)}, FAILS),
        ("C4", {"sparsity": sparsity()}, HOLDS),
        ("C4", {"sparsity": sparsity(supposed=6)}, IN_PART),
        ("C4", {"sparsity": sparsity(supposed=60)}, FAILS),
        ("C5", {"redundancy": redundancy(), "controls": controls()}, HOLDS),
        ("C5", {"redundancy": redundancy(), "controls": controls(gaussian=40)}, IN_PART),
        ("C5", {"redundancy": redundancy(9), "controls": controls(gaussian=40)}, FAILS),
        ("C5", {"redundancy": redundancy()}, IN_PART),
        ("C6", {"table2": table2(-0.9)}, HOLDS),
        ("C6", {"table2": table2(-1.1)}, FAILS),
        ("C7", {"table4": table4(0.0)}, HOLDS),
        ("C7", {"table4": table4(-2.0)}, FAILS),
        ("C8", {"table3": table3(0.0, 0.1)}, HOLDS),
        ("C8", {"table3": table3(0.2, 0.1)}, FAILS),
        ("C9", {"table3": table3(0.0, 0.1)}, HOLDS),
        ("C9", {"table3": table3(0.0, -0.1)}, FAILS),
        ("C10", {"table2_times": times(9.0)}, HOLDS),
        ("C10", {"table2_times": times(1.0)}, FAILS),
    ],
)
def test_a_claim_is_judged_by_its_rule(claim, tables, verdict):
    found = judge_claims(tables)[claim]
    assert found.verdict == verdict
    assert found.measured
    assert not any("nan" in sentence for sentence in [*found.measured, *found.control])


def test_what_a_run_does_not_have_is_not_measured_and_says_why():
    found = judge_claims({})
    assert list(found) == list(CLAIMS)
    for name, one in found.items():
        why = f"this run has no {CLAIMS[name].tables[0]} ({CLAIMS[name].key})"
        assert one.verdict == f"not measured, because {why}"
    empty = distribution().assign(rel_err_share_below_20=None, rel_err_share_below_30=None)
    assert judge_claims({"table1_distribution": empty, "networks": NETWORKS})[
        "C1"
    ].verdict.startswith("not measured")


def test_the_page_has_every_claim_and_what_is_beyond(tmp_path):
    planted = pd.DataFrame(
        {
            "is_planted": [True, True, False],
            "found_by_subset": [True, False, None],
            "found_by_lasso": [False, False, None],
            "coef_error": [0.1, None, None],
            "coef_error_bound": [0.2, None, None],
            "is_claimed": [True, True, False],
        }
    )
    tables = {"sparsity": sparsity(), "planted": planted}
    paths = {}
    for name, frame in tables.items():
        paths[name] = str(tmp_path / f"{name}.csv")
        frame.to_csv(paths[name], index=False)
    write_findings(paths, str(tmp_path / "findings.md"), about="A run.")
    page = (tmp_path / "findings.md").read_text()
    assert page == findings_page(judge_claims(tables), beyond_the_paper(tables), "A run.")
    for name, claim in CLAIMS.items():
        assert f"## {name}. {claim.statement}" in page
    assert (
        "Of 2 planted dependencies of 1 to 5 sources the best subsets have exactly the true sources of 1,"
        in page
    )
    assert "noise for 1;" in page
    assert "Of 1 untouched categories 0 are claimed." in page
    assert "counter-examples: 7, 1.00 % of all sources" in page
