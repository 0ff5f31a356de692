"""Tables 2 and 4 hold the evaluations' numbers, with the paper's beside them where they may be."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from neuraldeps.stores import provenance, strings, write_store
from neuraldeps.tables.generalizability import table2, table2_notes, table4
from scripts import (
    tabulate_generalizability,
    tabulate_times,
)


def evaluation_of(accuracy, *, model="net", n_new=100, seed=0, binary=False):
    """An evaluation of two variants with given accuracies (classifier, group, argmax)."""
    attrs = provenance(
        "evaluate_new_categories", "x", config={"model": model, "binary": binary}, seed=seed
    )
    size = len(accuracy)
    return xr.Dataset(
        {
            "accuracy": (("classifier", "group", "argmax"), np.array(accuracy)),
            "support_size_median": ("classifier", np.r_[np.nan, np.arange(size - 1) + 2.0]),
            "strength": ("classifier", np.r_[np.nan, np.full(size - 1, 0.01)]),
            "gap": ("classifier", np.r_[np.nan, np.full(size - 1, 1e-4)]),
        },
        {
            "classifier": strings(["baseline", "literal", "all-l2"][:size]),
            "images": ("classifier", strings(["all", "new", "all"][:size])),
            "penalty": ("classifier", strings(["", "l2", "l2"][:size])),
            "group": strings(["all", "base", "new"]),
            "argmax": strings(["full", "restricted"]),
        },
        attrs | {"n_base": 1000 - n_new, "n_new": n_new},
    )


def accuracies(seed):
    rng = np.random.default_rng(seed)
    values = rng.uniform(size=(3, 3, 2))
    values[:, 0, 1] = np.nan
    return values


def test_tables_hold_the_evaluations_numbers():
    values = [accuracies(seed) for seed in range(3)]
    runs = [evaluation_of(one, seed=seed) for seed, one in enumerate(values)]
    runs += [evaluation_of(accuracies(7), n_new=1, binary=True)]
    second, fourth = table2(runs), table4(runs)
    assert second["setting"].tolist() == ["900->100"] * 2 + ["999->1 (pos&neg)"] * 2
    ours, baseline = (np.array([100 * one[k, 0, 0] for one in values]) for k in (2, 0))
    row = second[second.variant == "all-l2"].iloc[0]
    assert row.ours == pytest.approx(ours.mean())
    assert row.ours_std == pytest.approx(ours.std(ddof=1))
    assert row.improvement_std == pytest.approx((ours - baseline).std(ddof=1))
    assert row.improvement_text == f"{row.improvement:+.2f} ± {row.improvement_std:.2f}"
    single = second[second.setting.str.contains("pos")].iloc[0]
    assert np.isnan(single.ours_std)
    assert "±" not in single.ours_text
    assert fourth["classifier"].tolist() == ["baseline", "literal", "all-l2"]
    new = [100 * one[1, 2, 1] for one in values]
    assert fourth["new_restricted"][1] == pytest.approx(np.mean(new))
    assert fourth["base_full"][0] == pytest.approx(np.mean([100 * one[0, 1, 0] for one in values]))


def test_papers_numbers_stand_in_columns_with_imagenet_only(tmp_path):
    paper = pd.read_csv("reference/paper_tables.csv")
    runs = [evaluation_of(accuracies(0), model="resnet50")]
    assert not [name for name in table2(runs) if name.startswith("paper")]
    second, fourth = table2(runs, paper), table4(runs, paper)
    assert second["paper_ours"].tolist() == [68.03, 68.03]
    assert second["paper_baseline_text"].tolist() == ["68.47 ± 0.25"] * 2
    assert fourth["paper_new"].tolist() == [68.87, 71.06, 71.06]
    elsewhere = table2([evaluation_of(accuracies(0), model="resnet18")], paper)
    assert elsewhere["paper_ours_text"].tolist() == ["-", "-"]


def test_tables_are_written_in_all_forms_twice_the_same(tmp_path):
    for seed in range(2):
        write_store(evaluation_of(accuracies(seed), seed=seed), tmp_path / f"{seed}.zarr")
    written = []
    for run in "one", "two":
        tables = [
            {form: str(tmp_path / run / f"{name}.{form}") for form in ("csv", "md", "tex")}
            for name in ("table2", "table4")
        ]
        tabulate_generalizability.main(
            [str(tmp_path / f"{seed}.zarr") for seed in range(2)],
            "reference/paper_tables.csv",
            *tables,
            dataset="glyphs",
            default="all-l2",
            split="fit",
            test="test",
        )
        written.append([Path(path).read_bytes() for one in tables for path in one.values()])
    assert written[0] == written[1]
    text = (tmp_path / "one/table2.md").read_text()
    assert "2 seeds: mean and sample standard deviation" in text
    assert "is hindsight" in text
    assert "has seen the images of base categories" not in text  # poses of their own
    assert "The softmax always runs over all categories" in text
    assert "hides collapse" in (tmp_path / "one/table4.md").read_text()
    assert "_text" not in (tmp_path / "one/table4.csv").read_text()


def test_of_photos_the_notes_say_what_the_base_network_has_seen():
    frame = table2([evaluation_of(accuracies(0))])
    notes = table2_notes(frame, "all-l2", "train_500", "test", of_photos=True)
    assert any(
        "trained on the split train_500 has seen the images of base" in note for note in notes
    )
    assert any("for l1 by a duality gap, for l2 by strong convexity" in note for note in notes)


def test_times_are_those_of_the_log_files_that_stand(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    benchmark = "s\tcpu_time\n20.0\t8.0\n"
    given = {
        "logs/benchmarks/train_start/net/3.tsv": benchmark,
        "logs/benchmarks/train_backbone/net.tsv": benchmark,
        "logs/benchmarks/train_base/net/900to100/3.tsv": benchmark,
        "logs/benchmarks/extract_base_logits/net/900to100/3/fit.tsv": benchmark,
        "logs/fit_new_categories/net/900to100/3/multiclass.csv": "variant,passes,seconds\nall-l2,50,5.0\n",
    }
    for path, text in given.items():
        Path(path).parent.mkdir(parents=True)
        Path(path).write_text(text)
    *benchmarks, extraction, learning = given
    first, second, gone = (
        {"model": "net", "setting": setting, "seed": 3, "epochs": 4, "benchmarks": paths}
        for setting, paths in (
            ("baseline", benchmarks[:2]),
            ("900to100", benchmarks[2:]),
            ("950to50", ["logs/benchmarks/train_base/net/950to50/3.tsv"]),
        )
    )
    tabulate_times.main([first, second, gone], [extraction], [learning], "times.csv")
    found = pd.read_csv("times.csv")
    assert found["setting"].tolist() == ["baseline", "900to100", "900to100", "900to100"]
    assert found["step"].tolist()[2:] == ["extract logits", "learn W, all-l2"]
    assert found["seconds"].tolist() == [40.0, 20.0, 20.0, 5.0]
    assert found["seconds_per_pass"].tolist() == [10.0, 5.0, 20.0, 0.1]
