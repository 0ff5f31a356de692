import json
import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.metrics import top_k_accuracy_score

from neuraldeps.categories import Category
from neuraldeps.dependencies.cases import choose_case, choose_cases, describe_case, read_case
from neuraldeps.errors import InputError
from neuraldeps.tables import dependencies as tables
from neuraldeps.tables.columns import Column, display
from neuraldeps.tables.dependency_notes import table1_notes
from neuraldeps.tables.networks import NETWORKS, networks_table, top_accuracy
from neuraldeps.tables.paper import paper_numbers
from neuraldeps.tables.writing import write_table
from tests.cards import card_with
from tests.synthetic_results import CODES, NAMES, N, evaluation_store

ERROR = "relative_error_positive"
AUTO = {"split": "fit", "support_size": (3, 4), "choose_by": "subset", "min_positives": 10}


def planted(fit=(7, 3), test=(9, 3)):
    """The smallest error lies at one place on the fit split, at another on the test split."""
    store = evaluation_store()
    for split, (category, size) in (("fit", fit), ("test", test)):
        where = {"split": split, "estimator": "subset", "support_size": size}
        store[ERROR].loc[where | {"target_category": category}] = 0.01
    return store


def one_case(store=None, **options):
    return chosen_case(planted() if store is None else store, "auto", **options)


def chosen_case(store, cases, **options):
    (chosen,) = choose_cases([store], cases, **(AUTO | options))
    return describe_case(store, chosen["target_category"], chosen["support_size"] - 1)


def cells(line):
    return re.split(r"(?<!\\)\|", line)[1:-1]


def test_auto_case_is_chosen_on_fit_and_reported_on_test():
    store = planted()
    case = one_case(store)
    assert case.category.name == NAMES[7]
    row = tables.table1([case]).set_index("estimator").loc["subset"]
    at = {"split": "test", "estimator": "subset", "support_size": 3, "target_category": 7}
    assert row.rel_err == 100 * float(store[ERROR].sel(at))
    assert row.rel_err != pytest.approx(1.0)


def test_every_number_of_table1_is_the_stores():
    store = evaluation_store(seed=3)
    frame = tables.table1([describe_case(store, 4, 2)])
    at = store.sel(split="test").isel(target_category=4, support_size=2)
    for row in frame.itertuples():
        one = at.sel(estimator=row.estimator)
        assert row.abs_err == float(one.absolute_error_positive)
        assert row.rel_err == 100 * float(one.relative_error_positive)
        assert row.abs_err_all == float(one.absolute_error)
        assert row.rel_err_all == 100 * float(one.relative_error)
        assert row.acc == 100 * float(one.accuracy)
        assert row.acc_original == 100 * float(at.original_accuracy)
        assert row.pos_acc == 100 * float(one.positive_accuracy)
        assert row.pos_acc_original == 100 * float(at.original_positive_accuracy)
        if row.estimator == "subset":
            assert np.isnan(row.alpha)
        else:
            assert row.alpha == float(at.alpha)
        assert row.support_size == 3
    assert list(frame.estimator) == ["lasso", "refit", "subset"]


def test_dependency_is_written_out_with_the_stores_coefficients():
    store = evaluation_store()
    supports, coefs = store.support.values[:, 4, 2, :3], store.coef.values[:, 4, 2, :3]
    case = describe_case(store, 4, 2)
    for name, support, coef in zip(("lasso", "refit", "subset"), supports, coefs, strict=True):
        order = np.argsort(-np.abs(coef))
        text = case.equation(name, with_character=False)
        for slot in order:
            assert f"{abs(coef[slot]):.3f} {NAMES[support[slot]]}" in text
        assert len(case.terms[name]) == 3
        assert text.startswith("-") == (coef[order[0]] < 0)
        assert text.count(" - ") == np.sum(coef[order[1:]] < 0)
    assert set(case.codes) == {CODES[i] for i in (4, *supports.ravel())}


def test_an_equation_has_the_shown_estimators_largest_coefficient_first():
    store = evaluation_store()
    store.coef.values[:2, 4, 2, :3] = [[0.9, 0.5, 0.1], [0.2, -0.7, 0.4]]
    case = describe_case(store, 4, 2)
    names = [NAMES[source] for source in store.support.values[0, 4, 2, :3]]
    shown = {one: case.equation(one, with_character=False) for one in ("lasso", "refit")}
    assert shown["lasso"] == f"0.900 {names[0]} + 0.500 {names[1]} + 0.100 {names[2]}"
    assert shown["refit"] == f"-0.700 {names[1]} + 0.400 {names[2]} + 0.200 {names[0]}"


def test_support_size_is_what_is_really_there():
    store = planted(fit=(7, 4))
    store.support[2, 7, 3, 2:] = -1  # "at most 4" that holds two categories only
    assert one_case(store, support_size=(3, 4)).category.name != NAMES[7]
    case = one_case(store, support_size=(2, 4))
    assert case.category.name == NAMES[7]
    sizes = tables.table1([case]).set_index("estimator").support_size
    assert sizes.to_dict() == {"lasso": 4, "refit": 4, "subset": 2}


def test_categories_without_positives_are_not_chosen():
    store = planted()
    store[ERROR].loc[{"target_category": 7}] = np.nan
    assert one_case(store).category.name != NAMES[7]


def test_categories_with_too_few_images_in_either_split_are_not_chosen():
    store = planted()
    store.n_positive.loc[{"target_category": 7, "split": "test"}] = 9
    assert one_case(store).category.name != NAMES[7]
    assert one_case(store, min_positives=9).category.name == NAMES[7]
    assert chosen_case(store, {"a--a": NAMES[7]}).category.name == NAMES[7]
    store.n_positive[:] = 3  # none has enough: all that have as many as any
    assert one_case(store).category.name == NAMES[7]


def test_the_estimator_that_chooses_is_the_configurations():
    store = planted()
    store[ERROR].loc[
        {"estimator": "refit", "split": "fit", "target_category": 11, "support_size": 4}
    ] = 0.001
    assert one_case(store).category.name == NAMES[7]
    assert one_case(store, choose_by="refit").category.name == NAMES[11]


def test_no_candidate_is_one_line_with_key_and_fix():
    store = evaluation_store()
    store[ERROR][:] = np.nan
    with pytest.raises(
        InputError, match=r"table1\.cases.*widen tables\.table1\.support_size"
    ) as at:
        choose_case(store)
    assert "\n" not in str(at.value)


@pytest.mark.parametrize("wanted", ["VERTICAL LINE", "vertical line", "U+007C", "|"])
def test_case_from_the_configuration_by_name_code_or_character(wanted):
    case = chosen_case(evaluation_store("a", "b"), {"a--b": wanted})
    assert case.category.name == "VERTICAL LINE"


def test_unknown_category_names_the_key():
    with pytest.raises(InputError, match=r"cases\.a--b: no category named 'horse'; give"):
        chosen_case(evaluation_store("a", "b"), {"a--b": "horse"})


def test_every_pairs_case_is_told_with_why_and_is_read_back(tmp_path):
    stores = [planted(), evaluation_store("a", "b", seed=1)]
    stores[0].support[2, 7, 3, 3:] = -1  # "at most 4" that holds three categories
    stores[0][ERROR].loc[{"support_size": 4, "target_category": 7, "split": "fit"}] = 0.001
    cases = choose_cases(stores, {"a--b": "|"}, **AUTO)
    assert cases[0] == {
        "source": "a",
        "target": "a",
        "target_category": 7,
        "target_code": CODES[7],
        "target_name": NAMES[7],
        "support_size": 4,
        "n_sources": 3,
        "n_positive": {"fit": 40, "test": 40},
        "chosen": "auto",
        "choose_by": "subset",
        "split": "fit",
    }
    assert (cases[1]["target_name"], cases[1]["chosen"]) == ("VERTICAL LINE", "config")
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases[::-1]))
    assert read_case(path, stores[0]) == describe_case(stores[0], 7, 3)


def test_a_case_that_is_not_in_the_file_or_the_store_is_one_line(tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(choose_cases([planted()], "auto", **AUTO)))
    with pytest.raises(InputError, match=r"cases\.json: has no case of a--b; remove it"):
        read_case(path, evaluation_store("a", "b"))
    smaller = planted().isel(target_category=slice(7))
    with pytest.raises(InputError, match=r"cases\.json: the case of a--a is not in its store"):
        read_case(path, smaller)


def test_markdown_has_as_many_cells_in_every_row(tmp_path):
    store = evaluation_store()
    frame = tables.table1([describe_case(store, i, 3) for i in range(N)])
    outputs = {form: str(tmp_path / f"t.{form}") for form in ("csv", "md", "tex")}
    write_table(frame, tables.TABLE1, outputs, caption="c", notes=["n"])
    lines = [x for x in (tmp_path / "t.md").read_text().splitlines() if x.startswith("|")]
    assert len(lines) == 2 + 3 * N
    assert {len(cells(line)) for line in lines} == {len(tables.TABLE1)}
    assert "VERTICAL LINE (\\|)" in lines[2]
    assert "LOW LINE (\\_)" in "\n".join(lines)


def test_latex_escapes_names_and_numbers_of_columns_agree(tmp_path):
    frame = tables.table1([one_case()], with_character=False)
    frame["category"] = "50% of R&D_#1 ~{x}^\\$"
    outputs = {form: str(tmp_path / f"t.{form}") for form in ("csv", "md", "tex")}
    write_table(frame, tables.TABLE1, outputs, caption="10 % of a_b", notes=["c & d"])
    text = (tmp_path / "t.tex").read_text()
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [len(tables.TABLE1) - 1] * 3
    assert r"50\% of R\&D\_\#1 \textasciitilde{}\{x\}\textasciicircum{}\textbackslash{}\$" in body
    assert r"\caption{10 \% of a\_b}" in text
    assert r"c \& d" in text
    assert text.isascii()


def test_display_has_the_papers_digits():
    frame = tables.table1([one_case()])
    frame.loc[0, ["abs_err", "rel_err", "pos_acc", "pos_acc_original"]] = [2.56789, 18.66, 72, 84]
    shown = display(frame, tables.TABLE1).iloc[0]
    assert shown["abs err"] == "2.568"
    assert shown["rel err (%)"] == "18.7"
    assert shown["pos acc (original) (%)"] == "72.0 (84.0)"


def test_papers_numbers_stand_next_to_ours_for_the_papers_networks_only():
    paper = pd.read_csv("reference/paper_tables.csv")
    stores = [
        evaluation_store("resnet18", "resnet18"),
        evaluation_store("resnet50", "swin_tiny_patch4_window7_224"),
        evaluation_store("vit_small_patch16_224", "resnet18"),
    ]
    frame = tables.table1([one_case(store) for store in stores], paper)
    theirs = frame[frame.estimator == "paper"].set_index("source")
    assert list(theirs.index) == ["resnet18", "resnet50"]
    assert theirs.loc["resnet18", "abs_err"] == 2.568
    assert theirs.loc["resnet18", "pos_acc_original"] == 84.0
    assert theirs.loc["resnet50", "rel_err"] == 20.7
    assert list(frame.estimator)[:4] == ["lasso", "refit", "paper", "subset"]
    assert "paper" not in set(tables.table1([one_case(stores[0])]).estimator)


def test_the_papers_numbers_are_looked_up_by_table_and_columns():
    paper = pd.read_csv("reference/paper_tables.csv")
    found = paper_numbers(paper, 1, backbone="ResNet-18", metric="abs_err", variant="ours")
    assert found["value"].tolist() == [2.568]
    assert set(paper_numbers(paper, 3)["table"].astype(str)) == {"3"}
    assert paper_numbers(paper, 1, backbone=None).empty
    assert paper_numbers(None, 1, backbone="ResNet-18").empty


def test_a_table_shows_text_that_its_csv_leaves_out(tmp_path):
    frame = pd.DataFrame({"model": ["a"], "acc": [0.5], "acc_text": ["0.50 ± 0.01"]})
    columns = {"model": Column("model"), "acc_text": Column("acc", "s")}
    outputs = {form: str(tmp_path / f"t.{form}") for form in ("csv", "md", "tex")}
    printable = frame.assign(acc_text="0.50 +- 0.01")
    write_table(frame, columns, outputs, caption="c", notes=["n"], printable=printable)
    csv, md, tex = ((tmp_path / f"t.{form}").read_text() for form in ("csv", "md", "tex"))
    assert csv == "model,acc\na,0.5\n"
    assert "0.50 ± 0.01" in md
    assert "0.50 +- 0.01" in tex
    other = frame.assign(model="b")
    write_table(frame, columns, outputs, caption="c", notes=["n"], shown=other)
    texts = [(tmp_path / f"t.{form}").read_text() for form in ("csv", "md", "tex")]
    assert texts[0] == csv
    assert all(re.search(r"\bb\b", text) for text in texts[1:])
    assert "±" in texts[1]
    assert r"$\pm$" in texts[2]


def counted(n_labelled, pseudo=(), n_samples=50):
    """A store that says how many of 50 images have a label, of fit and of test."""
    store = evaluation_store()
    store["n_samples"] = ("split", np.full(2, n_samples))
    store["n_labelled"] = ("split", np.array(n_labelled))
    kinds = {True: "pseudo-positives (the target network's own top-1)", False: "labelled"}
    store.attrs["positives"] = {one: kinds[one in pseudo] for one in ("fit", "test")}
    return store


def test_notes_say_at_which_penalty_the_paper_solves_and_which_labels_are_missing():
    def notes(store, support_size=(3, 4)):
        how = {"support_size": support_size, "with_paper": True}
        how |= {"choose_by": "subset", "min_positives": 10}
        return " ".join(table1_notes([store], "fit", "test", **how))

    whole = notes(counted([50, 50]))
    assert "alpha 0.25 for Swin-T, 2.5 for the other networks" in whole
    assert "at most as many categories as subset has, 3 to 4," in whole
    assert "at most as many categories as subset has, 5," in notes(counted([50, 50]), (5, 5))
    assert "at least 10 images in each split: the smallest relative error of subset" in whole
    assert "have a label" not in whole
    assert "Of 50 images of the split test 35 have a label" in notes(counted([50, 35]))
    assert "Of 50 images of the split fit 20 have a label" in notes(counted([20, 50]))
    without = notes(counted([50, 50], pseudo=["fit"]))
    assert (
        "split fit have no labels, or too few: a case is the best on its pseudo-positives"
        in without
    )


def test_distribution_is_that_of_the_categories():
    store = evaluation_store()
    for name in (ERROR, f"{ERROR}_at_penalty"):
        store[name].loc[{"target_category": 0}] = np.nan
    store[ERROR].loc[{"target_category": [1, 2, 3]}] = 0.05
    frame = tables.table1_distribution([store], [2, 4, 99])
    assert set(frame["at"]) == {
        "support size 2",
        "support size 4",
        "alpha = 0.15",
        "alpha / alpha_max = 0.02",
    }
    row = frame[(frame["at"] == "support size 4") & (frame.estimator == "refit")].iloc[0]
    at = store.sel(split="test", estimator="refit", support_size=4).isel(
        target_category=slice(1, N)
    )
    error = at[ERROR].values
    drop = (at.original_positive_accuracy - at.positive_accuracy).values
    assert row.n_categories == N - 1
    assert row.rel_err_median == pytest.approx(100 * np.median(error))
    assert row.rel_err_q1 == pytest.approx(100 * np.percentile(error, 25))
    assert row.rel_err_share_below_10 == pytest.approx(100 * 3 / (N - 1))
    for limit in (20, 30):
        share = row[f"rel_err_share_below_{limit}"]
        assert share == pytest.approx(100 * np.mean(error < limit / 100))
    assert row.pos_acc_median == pytest.approx(100 * np.median(at.positive_accuracy))
    own = 100 * np.median(at.original_positive_accuracy)
    assert row.pos_acc_median_original == pytest.approx(own)
    assert set(frame[frame["at"] == "alpha = 0.15"].estimator) == {"lasso", "refit"}
    assert row.pos_acc_drop_q3 == pytest.approx(100 * np.percentile(drop, 75))
    row = frame[(frame["at"] == "alpha = 0.15") & (frame.estimator == "lasso")].iloc[0]
    assert row.support_size_median == np.median(store.support_size_at_penalty.values[1:, 0])


def logits_store(seed=0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1, (50, 12)).astype(np.float32)
    label = rng.integers(-1, 12, 50).astype(np.int32)
    logits[np.arange(50), label] += 1.5
    coords = {"category": np.arange(12), "label": ("sample", label)}
    return xr.Dataset({"logits": (("sample", "category"), logits)}, coords)


def test_top_accuracy_is_scikit_learns_whatever_the_blocks():
    store = logits_store()
    known = store.label.values >= 0
    logits, label = store.logits.values[known], store.label.values[known]
    for rows in (7, 8192):
        (top1, top5), mean = top_accuracy(store, rows=rows)
        assert top1 == top_k_accuracy_score(label, logits, k=1, labels=range(12))
        assert top5 == top_k_accuracy_score(label, logits, k=5, labels=range(12))
        assert mean == pytest.approx(store.logits.values.astype(float).mean(), rel=1e-12)


def test_masked_categories_are_not_in_the_mean_logit():
    store = logits_store()
    store.logits[:, [3, 7]] = np.finfo(np.float32).min
    others = np.delete(store.logits.values.astype(float), [3, 7], axis=1)
    _, mean = top_accuracy(store.assign_attrs(masked_categories=[3, 7]))
    assert mean == pytest.approx(others.mean(), rel=1e-12)


def test_equal_logits_count_as_arg_max_counts_them():
    store = logits_store()
    store.logits[:] = 0
    (top1, _), _ = top_accuracy(store)
    known = store.label.values[store.label.values >= 0]
    assert top1 == np.mean(known == 0)


def test_logits_without_labels_have_a_mean_and_no_accuracy():
    store = logits_store()
    accuracies, mean = top_accuracy(store.drop_vars("label"))
    assert np.isnan(accuracies).all()
    assert mean == top_accuracy(store)[1]
    shown = display(networks_table({"a": (store.drop_vars("label"), None)}), NETWORKS)
    assert shown.iloc[0]["top1"] == "-"


def test_networks_table_has_timms_columns_and_the_rank_bound():
    card = card_with(
        param_count=11_689_512,
        input_size=[3, 224, 224],
        crop_pct=0.875,
        interpolation="bicubic",
        feature_dimension=7,
        rank_bound=8,
    )
    frame = networks_table({"a": (logits_store(), card), "b": (logits_store(1), None)})
    timms = "model,img_size,top1,top1_err,top5,top5_err,param_count,crop_pct,interpolation"
    assert ",".join(frame.columns[:9]) == timms
    first, second = frame.iloc[0], frame.iloc[1]
    assert first.img_size == 224
    assert first.rank_bound == 8
    assert first.top1 + first.top1_err == pytest.approx(100)
    assert display(frame, NETWORKS).iloc[0]["param_count"] == "11.69"
    assert pd.isna(second.rank_bound)


@pytest.mark.parametrize(
    ("name", "code", "caption"),
    [
        ("LATIN SMALL LETTER B", "U+0062", "Latin small b"),
        ("LATIN CAPITAL LETTER A WITH ACUTE", "U+00C1", "Latin capital A with acute"),
        ("tench, Tinca tinca", "n01440764", "tench"),
    ],
)
def test_captions_are_readable(name, code, caption):
    assert Category(name, code).caption == caption


def test_codes_are_those_of_the_names():
    assert [Category(name, code).character for name, code in zip(NAMES, CODES, strict=True)]
