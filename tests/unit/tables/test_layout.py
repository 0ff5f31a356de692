"""Tables 1 to 4 as the paper lays them out hold the long tables' numbers in the paper's places."""

import re

import numpy as np
import pandas as pd
import pytest

from neuraldeps.tables.columns import Column
from neuraldeps.tables.dependencies import name_pseudo_positives, table1
from neuraldeps.tables.generalizability import table2, table4
from neuraldeps.tables.layout import CAPTIONS, Choice, lay_out_table
from neuraldeps.tables.writing import write_forms
from scripts import lay_out_table as script
from tests.synthetic_results import evaluation_store
from tests.unit.tables.test_generalizability import accuracies, evaluation_of
from tests.unit.tables.test_tables import one_case

REFERENCE = "reference/paper_tables.csv"
BACKBONES = ("resnet50", "swin_tiny_patch4", "mine")
PAIRS = [
    ("resnet18", "resnet18"),
    ("resnet50", "swin_tiny"),
    ("mine", "mine"),
    ("mine", "resnet18"),
]


@pytest.fixture(scope="module")
def paper():
    return pd.read_csv(REFERENCE)


def long_table(number):
    """A run's long table, without the paper's rows."""
    if number == 1:
        return table1(
            one_case(evaluation_store(*pair, seed=seed)) for seed, pair in enumerate(PAIRS)
        )
    if number == 3:
        return robustness_table()
    settings = [(100, False), (50, False), (1, False), (1, True)]
    runs = [
        evaluation_of(accuracies(seed), seed=seed, model=model, n_new=n_new, binary=binary)
        for model in BACKBONES
        for n_new, binary in settings
        for seed in range(3)
    ]
    return table2(runs) if number == 2 else table4(runs)


def robustness_table():
    rng = np.random.default_rng(0)
    names = [f"{name}{of}" for name in ("acc", "aupr", "theta_alpha") for of in ("", "_std")]
    arms = [
        (model, arm) for model in ("resnet18", "mine") for arm in ("baseline", "control", "literal")
    ]
    rows = [
        {"model": model, "arm": arm, "n_seeds": 3}
        | dict(zip(names, rng.uniform(1, 90, 6), strict=True))
        for model, arm in arms
    ]
    return pd.DataFrame([*rows, {"model": "resnet18", "arm": "paper: ours", "acc": 70.12}])


def laid_out(number, paper=None, table=None, **choice):
    table = long_table(number) if table is None else table
    numbers, shown, notes = lay_out_table(number, table, Choice(**choice), paper)
    return table, numbers, shown, notes


@pytest.mark.parametrize("estimator", ["lasso", "subset"])
def test_table_1_has_metrics_in_rows_and_cases_in_columns(estimator):
    table, numbers, shown, notes = laid_out(1, estimator=estimator)
    of = table[table["estimator"] == estimator].set_index(["source", "target"])
    by_metric = numbers.set_index("metric")
    for column, pair in (
        ("within a network: mine", ("mine", "mine")),
        ("between networks: mine -> resnet18", ("mine", "resnet18")),
    ):
        assert by_metric.loc["rel err (%)", column] == of.loc[pair, "rel_err"]
        assert (
            by_metric.loc["pos acc (original) (%)", f"{column}, original"]
            == of.loc[pair, "pos_acc_original"]
        )
    assert list(by_metric.index) == [
        "abs err (logits)",
        "rel err (%)",
        "acc (original) (%)",
        "pos acc (original) (%)",
    ]
    (_frame, columns) = shown[0]
    assert [column.group for column in columns.values()] == [
        "",
        "",
        *["within a network"] * 2,
        *["between networks"] * 2,
    ]
    assert all(case in notes[0] for case in of["category"])


def test_the_papers_cases_stand_beneath_those_of_the_same_networks(paper):
    _, numbers, shown, _ = laid_out(1, paper)
    theirs = numbers[numbers["numbers"] == "the paper"].set_index("metric")
    assert theirs.loc["abs err (logits)", "within a network: resnet18"] == 2.568
    assert theirs.loc["pos acc (original) (%)", "within a network: resnet18, original"] == 84.0
    assert theirs.loc["rel err (%)", "between networks: resnet50 -> swin_tiny"] == 20.7
    assert theirs.loc["acc (original) (%)", "between networks: Swin-T -> ResNet-50"] == 49.0
    assert np.isnan(theirs.loc["rel err (%)", "within a network: mine"])
    assert max(len(columns) for _, columns in shown) <= 2 + 6


def test_without_labels_the_paper_is_not_beside_what_is_something_else(paper):
    table, _ = name_pseudo_positives(long_table(1), {})
    _, numbers, _, notes = laid_out(1, paper, table)
    assert set(numbers["numbers"]) == {"this run"}
    assert any("too few labels" in note for note in notes)


@pytest.mark.parametrize("variant", ["literal", "all-l2"])
def test_table_2_has_backbones_in_rows_and_settings_in_columns(variant, paper):
    table, numbers, shown, _ = laid_out(2, paper, variant=variant)
    of = table[table["variant"] == variant].set_index(["model", "setting"])
    ours = numbers[numbers["numbers"] == "this run"].set_index("backbone")
    assert list(ours.index) == list(BACKBONES)
    for model in BACKBONES:
        for setting in ("900->100", "999->1 (pos&neg)"):
            for name in ("baseline", "ours", "improvement"):
                for text, suffix in (("", ""), (", std", "_std")):
                    expected = of.loc[(model, setting), f"{name}{suffix}"]
                    assert ours.loc[model, f"{setting}: {name}{text}"] == expected
    theirs = numbers[numbers["numbers"] == "the paper"].set_index("backbone")
    assert theirs.loc["Swin-T", "999->1 (pos&neg): ours"] == 78.0
    assert theirs.loc["Swin-T", "999->1 (pos&neg): improvement"] == pytest.approx(1.8)
    assert theirs.loc["ResNet-50", "900->100: baseline, std"] == 0.25
    frame, _ = shown[0]
    mean, std = (of.loc[("mine", "900->100"), name] for name in ("ours", "ours_std"))
    assert frame.iloc[2]["900->100: ours"] == f"{mean:.2f} ± {std:.2f}"


def test_table_3_has_backbones_in_rows_and_the_control_in_a_note(paper):
    table, numbers, _, notes = laid_out(3, paper)
    arms = table.set_index(["model", "arm"])
    ours = numbers[numbers["numbers"] == "this run"].set_index("backbone")
    before, after = arms.loc[("mine", "baseline")], arms.loc[("mine", "literal")]
    assert ours.loc["mine", "accuracy (%): baseline"] == before["acc"]
    assert ours.loc["mine", "accuracy (%): ours, std"] == after["acc_std"]
    assert ours.loc["mine", "accuracy (%): improvement"] == after["acc"] - before["acc"]
    assert ours.loc["mine", "coefficient: ours"] == after["theta_alpha"]
    assert ours.loc["mine", "AUPR out of distribution (%): ours"] == after["aupr"]
    control = arms.loc[("mine", "control")]
    assert any(f"mine: acc {control['acc']:.2f}" in note for note in notes)
    theirs = numbers[numbers["numbers"] == "the paper"].set_index("backbone")
    assert list(theirs.index) == ["ResNet-18", "ResNet-50", "ViT-S", "Swin-T"]
    assert theirs.loc["ViT-S", "AUPR out of distribution (%): ours"] == 31.14
    assert theirs.loc["ResNet-50", "coefficient: ours"] == 4.5e-4


def test_table_4_has_methods_in_rows_and_the_full_argmax_in_a_note(paper):
    table, numbers, _, notes = laid_out(4, paper, variant="all-l2")
    of = table[table["setting"] == "900->100"].set_index(["model", "classifier"])
    ours = numbers[numbers["numbers"] == "this run"].set_index("method")
    assert ours.loc["ours", "mine: new 100"] == of.loc[("mine", "all-l2"), "new_restricted"]
    assert (
        ours.loc["baseline", "mine: base 900, std"]
        == of.loc[("mine", "baseline"), "base_restricted_std"]
    )
    assert f"mine, all-l2: {of.loc[('mine', 'all-l2'), 'base_full']:.2f} and" in notes[1]
    theirs = numbers[numbers["numbers"] == "the paper"].set_index("method")
    assert theirs.loc["ours", "resnet50: new 100"] == 71.06
    assert theirs.loc["baseline", "swin_tiny_patch4: base 900"] == 71.28


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_every_layout_is_written_in_every_form_from_a_csv(number, tmp_path, paper):
    long_table(number).to_csv(tmp_path / "long.csv", index=False)
    given = {"estimator": "lasso", "variant": "literal", "arm": "literal"}
    texts = {}
    for dataset in ("glyphs", "imagenet"):
        outputs = {
            form: str(tmp_path / f"{dataset}.{form}") for form in ("csv", "md", "tex", "html")
        }
        script.main(
            str(tmp_path / "long.csv"),
            REFERENCE,
            outputs,
            number=number,
            dataset=dataset,
            choice=given,
        )
        texts[dataset] = {form: (tmp_path / f"{dataset}.{form}").read_text() for form in outputs}
    for form, text in texts["imagenet"].items():
        assert "the paper" in text, form
        assert "nan" not in text.casefold(), form
    assert "the paper" not in texts["glyphs"]["csv"]
    assert texts["imagenet"]["tex"].isascii()
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", texts["imagenet"]["html"])
    rows = [line for line in texts["imagenet"]["md"].splitlines() if line.startswith("|")]
    assert len(cells) == sum(line.count(" | ") + 1 for line in rows if "---" not in line) - sum(
        line.count(" | ") + 1
        for line in rows
        if re.match(r"\| +\| (metric|backbone|method) ", line)
    )
    assert CAPTIONS[number] in texts["imagenet"]["md"].replace("\\", "")


def test_a_page_shows_markup_in_names_as_text(tmp_path):
    frame = pd.DataFrame({"name": ["<script>alert(1)</script> | *x*"]})
    outputs = {form: str(tmp_path / f"t.{form}") for form in ("csv", "md", "tex", "html")}
    columns = {"name": Column("name")}
    write_forms(frame, [(frame, columns)], outputs, caption="a <b>", notes=["n"])
    page = (tmp_path / "t.html").read_text()
    assert "&lt;script&gt;alert(1)&lt;/script&gt; | *x*" in page
    assert "<script" not in page
    assert "<title>a &lt;b&gt;</title>" in page
