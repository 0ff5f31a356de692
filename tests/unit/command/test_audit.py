"""What an audit refuses, each in a line before any work; what it writes; what it says first."""

import csv

import numpy as np
import pytest
import yaml

from neuraldeps.command import audit
from neuraldeps.command.__main__ import main
from neuraldeps.command.headline import UNLABELLED, headlines, places
from neuraldeps.config import check_config

N, ROWS = 8, 40
GIVEN = ["--logits", "fit.npy", "--test", "test.npy", "--output", "out"]


@pytest.fixture
def arrays(tmp_path, monkeypatch):
    """Logits and labels of one classifier, in the folder that the command is typed in."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for split in "fit", "test":
        np.save(f"{split}.npy", rng.standard_normal((ROWS, N)).astype(np.float32))
        np.save(f"{split}_labels.npy", rng.integers(0, N, ROWS))
    return tmp_path


@pytest.fixture
def planned(arrays, monkeypatch):
    """What Snakemake would have been given."""
    asked = []
    monkeypatch.setattr(audit, "run_workflow", lambda *words: asked.extend(words) or 0)
    return asked


def refused(capsys, *words):
    """The one line that an audit ends with."""
    assert main(["audit", *words]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    return said[0]


WRONG = [
    (["--logits", "none.npy"], "--logits: none.npy does not exist; correct the path"),
    (["--logits", "fit_labels.npy"], "--logits: fit_labels.npy has shape (40,) and holds integers"),
    (["--test", "fit.npy"], "--test: fit.npy is the file of --logits; keep some inputs apart"),
    (["--test", "wide.npy"], "--test: wide.npy has 9 categories where --logits has 8"),
    (["--other", "fit.npy"], "--other-test is missing; other needs logits of both sets"),
    (
        ["--other", "long.npy", "--other-test", "test.npy"],
        "--other: long.npy has 41 inputs where --logits has 40",
    ),
    (["--labels", "fit.npy"], "--labels: fit.npy holds values of type float32; give each image's"),
    (["--labels", "short.npy"], "--labels: short.npy has shape (39,), its logits need (40,)"),
    (["--test-labels", "from1.npy"], "--test-labels: from1.npy goes from 1 to 8; give integers"),
    (["--names", "seven.txt"], "--names: seven.txt has 7 names, --logits has 8 categories"),
    (["--names", "twice.csv"], "--names: twice.csv has the code 'a' twice; correct it"),
    (["--names", "gap.txt"], "--names: gap.txt has no name or code for category 3; give both"),
    (["--logits", "few.npy", "--test", "few2.npy"], "few.npy has 5 categories; an audit needs at"),
    (["--output", "fit.npy/x"], "--output: fit.npy/x/config.yaml cannot be written"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_one_line_says_what_is_wrong(arrays, planned, capsys, words, message):
    np.save("wide.npy", np.zeros((ROWS, N + 1), np.float32))
    np.save("long.npy", np.zeros((ROWS + 1, N), np.float32))
    np.save("short.npy", np.zeros(ROWS - 1, int))
    np.save("from1.npy", np.arange(ROWS) % N + 1)
    np.save("few.npy", np.zeros((ROWS, 5), np.float32))
    np.save("few2.npy", np.zeros((ROWS, 5), np.float32))
    (arrays / "seven.txt").write_text("\n".join("abcdefg"))
    (arrays / "gap.txt").write_text("a\nb\nc\n\ne\nf\ng\nh\n")
    rows = "".join(f"{code},thing\n" for code in "abcdefga")
    (arrays / "twice.csv").write_text(f"code,name\n{rows}")
    assert message in refused(capsys, *GIVEN, *words)
    assert not planned
    assert not (arrays / "out").exists()


def test_a_right_configuration_is_written(arrays, planned):
    (arrays / "names.csv").write_text("name\n" + "".join(f'"thing, {i}"\n' for i in range(N)))
    np.save("other.npy", np.zeros((ROWS, N), np.float16))
    more = ["--labels", "fit_labels.npy", "--names", "names.csv", "--centering", "per_image"]
    more += ["--other", "other.npy", "--other-test", "other.npy"]
    assert main(["audit", *GIVEN, *more, "--cores", "1", "-n", "results/findings.md"]) == 0
    assert planned == [
        ["--directory", "out", "--configfile", "out/config.yaml"],
        ["--cores", "1", "-n", "results/findings.md"],
    ]
    text = (arrays / "out/config.yaml").read_text()
    config = check_config(yaml.safe_load(text), "config.yaml")
    assert config["models"]["other"]["logits"] == dict.fromkeys(
        ("fit", "test"), str(arrays / "other.npy")
    )
    assert config["models"]["mine"]["labels"] == {"fit": str(arrays / "fit_labels.npy")}
    assert config["centering"] == "per_image"
    assert sum(line.startswith("# ") for line in text.splitlines()) >= 5
    with open("out/categories.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[3] == {"code": "3", "name": "thing, 3"}


def test_what_a_user_has_changed_is_not_written_over(arrays, planned, capsys):
    assert main(["audit", *GIVEN]) == 0
    assert main(["audit", *GIVEN]) == 0  # as it was: gone on with
    config = arrays / "out/config.yaml"
    config.write_text(config.read_text() + "seed: 3\n")
    assert "config.yaml is there and says something else; go on" in refused(capsys, *GIVEN)
    assert config.read_text().endswith("seed: 3\n")


def test_fewer_inputs_than_categories_are_noted(arrays, planned, capsys):
    np.save("short.npy", np.zeros((N, N), np.float32))
    assert main(["audit", *GIVEN, "--logits", "short.npy"]) == 0
    assert "Note: --logits has 8 inputs of 8 categories" in capsys.readouterr().err


def write_table(folder, name, **columns):
    path = folder / f"results/tables/{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [columns.keys(), *zip(*columns.values(), strict=True)]
    path.write_text("\n".join(",".join(map(str, row)) for row in rows))


ROWS_OF_TABLE = {
    "source": ["mine", "mine", "mine", "other"],
    "target": ["mine"] * 4,
    "at": ["support size 2", *["support size 4"] * 3],
    "estimator": ["subset", "refit", "subset", "subset"],
    "n_categories": [12, 12, 12, 0],
}
SHARES = [1.0, 2.0, 58.33, ""]


def test_the_headline_is_of_the_best_four(tmp_path):
    write_table(tmp_path, "table1_distribution", **ROWS_OF_TABLE, rel_err_share_below_20=SHARES)
    write_table(
        tmp_path,
        "controls",
        source=["mine", "mine"],
        target=["mine", "mine"],
        control=["none", "none"],
        sources_by=["random", "nearest"],
        support_size=[4, 4],
        rel_err_share_below_20=[3.2, 41.0],
    )
    within, between = headlines(tmp_path)
    assert within.startswith("mine: 58 % of 12 categories are within 20 % of a combination of at ")
    assert within.endswith("; at random, 4 others do so for 3 %")
    assert between == "other to mine: no category has inputs of its own to judge it by"
    assert [line.split("  ")[0] for line in places(tmp_path)] == [f"{tmp_path}/results/tables"]


def test_without_labels_the_headline_says_so(tmp_path):
    write_table(
        tmp_path, "table1_distribution", **ROWS_OF_TABLE, pseudo_rel_err_share_below_20=SHARES
    )
    within, _, note = headlines(tmp_path)
    assert within.startswith("mine: 58 % of 12 categories are")
    assert note == UNLABELLED


def test_there_is_no_headline_before_there_is_a_table(tmp_path):
    assert headlines(tmp_path) == places(tmp_path) == []
