from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuraldeps.dependencies.cases import choose_case
from neuraldeps.stores import open_store, provenance, write_store
from scripts import choose_cases, tabulate_dependencies, tabulate_networks
from tests.cards import card_with
from tests.synthetic_results import NAMES, category_coords, evaluation_store

PAPER = "reference/paper_tables.csv"


def outputs(folder, name):
    return {form: str(folder / f"{name}.{form}") for form in ("csv", "md", "tex")}


def run(folder, pairs, dataset="glyphs", **options):
    stores = []
    for seed, (source, target) in enumerate(pairs):
        path = folder / f"{source}--{target}.zarr"
        if not path.exists():
            write_store(evaluation_store(source, target, dataset, seed), path)
        stores.append(str(path))
    table1, distribution = outputs(folder, "table1"), outputs(folder, "table1_distribution")
    given = {"cases": "auto", "support_size": [3, 4]} | options
    cases = str(folder / "cases.json")
    by = {"choose_by": "subset", "min_positives": 10}
    choose_cases.main(stores, cases, split="fit", **by, **given)
    shown = {"splits": ("fit", "test"), "support_size": given["support_size"], "max_support": 5}
    tabulate_dependencies.main(stores, cases, PAPER, table1, distribution, **shown, **by)
    return stores, pd.read_csv(table1["csv"]), pd.read_csv(distribution["csv"])


def test_tables_hold_one_case_per_pair_and_all_categories(tmp_path):
    stores, table1, distribution = run(tmp_path, [("a", "a"), ("a", "b")])
    assert table1[["source", "target", "estimator"]].to_numpy().tolist() == [
        [*pair, estimator] for pair in ("aa", "ab") for estimator in ("lasso", "refit", "subset")
    ]
    for path, row in zip(stores, table1.iloc[2::3].itertuples(), strict=True):
        store = open_store(path)
        i, k = choose_case(store)
        at = store.isel(target_category=i, support_size=k).sel(split="test", estimator="subset")
        assert row.rel_err == pytest.approx(100 * float(at.relative_error_positive), rel=1e-9)
        assert row.category.startswith(NAMES[i])
    sizes = [f"support size {k}" for k in (1, 2, 3, 4, 5)]
    assert list(distribution["at"].unique()[:5]) == sizes
    assert (distribution.n_categories == len(NAMES)).all()
    notes = (tmp_path / "table1.md").read_text()
    assert "infer" in notes
    assert "can hardly move by construction" in notes
    assert "centering none" in notes


def test_configured_cases_and_sizes_are_taken(tmp_path):
    _, table1, _ = run(
        tmp_path, [("a", "a"), ("a", "b")], cases={"a--b": "U+00A6"}, support_size=[2, 2]
    )
    assert list(table1[table1.target == "b"].category) == ["BROKEN BAR (¦)"] * 3
    assert (table1.support_size == 2).all()


def test_papers_rows_come_with_imagenet_only(tmp_path):
    pairs = [("resnet50", "resnet50"), ("resnet50", "other")]
    _, glyphs, _ = run(tmp_path, pairs)
    assert "paper" not in set(glyphs.estimator)
    (tmp_path / "imagenet").mkdir()
    _, imagenet, _ = run(tmp_path / "imagenet", pairs, "imagenet")
    assert imagenet[imagenet.estimator == "paper"].abs_err.tolist() == [1.063]


def test_same_stores_give_the_same_bytes(tmp_path):
    run(tmp_path, [("a", "a")])
    names = [
        *outputs(tmp_path, "table1").values(),
        *outputs(tmp_path, "table1_distribution").values(),
    ]
    before = [Path(name).read_bytes() for name in names]
    run(tmp_path, [("a", "a")])
    assert [Path(name).read_bytes() for name in names] == before


def test_networks_table_from_stores_and_cards(tmp_path):
    n = len(NAMES)
    logits = np.eye(n, dtype=np.float32)
    logits[0, 1] = 2  # the first image is wrong at top 1, right at top 5
    coords = {**category_coords("category"), "label": ("sample", np.arange(n, dtype=np.int32))}
    store = xr.Dataset(
        {"logits": (("sample", "category"), logits)}, coords, provenance("extract_logits", "Logits")
    )
    paths = [str(tmp_path / f"{model}.zarr") for model in ("here", "imported")]
    for path in paths:
        write_store(store, path)
    card = tmp_path / "card.json"
    card_with().to_json(card)
    tabulate_networks.main(
        paths,
        [str(card)],
        outputs(tmp_path, "networks"),
        models=["here", "imported"],
        described=["here"],
        test="test",
    )
    table = pd.read_csv(tmp_path / "networks.csv", index_col="model")
    assert table.top1["here"] == pytest.approx(100 * (n - 1) / n)
    assert table.top5_err["here"] == pytest.approx(0, abs=1e-9)
    assert table.mean_logit["here"] == pytest.approx((n + 2) / n**2)
    assert table.rank_bound["here"] == 9
    assert table.param_count["here"] == 2.5
    assert table.top1["imported"] == table.top1["here"]
    assert np.isnan(table.rank_bound["imported"])
