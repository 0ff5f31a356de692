"""What `neuraldeps run` and `neuraldeps config` hand on, and refuse."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from neuraldeps.command import config, run
from neuraldeps.command.__main__ import COMMANDS, main
from neuraldeps.command.workflow import workflow_folder
from neuraldeps.config import check_config

ROOT = Path(__file__).parents[3]


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """What Snakemake would have been given, in a folder of one's own."""
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr(run, "run_workflow", lambda *words: asked.extend(words) or 0)
    return asked


def test_in_a_checkout_the_workflow_is_beside_the_package():
    assert workflow_folder() == ROOT


@pytest.mark.parametrize(
    ("words", "options", "further"),
    [
        ([], ["--configfile", str(ROOT / "config.yaml")], []),
        (
            ["-n", "--config", "a.yaml", "b.yml", "seed=3", "--config", "dataset={n_ood: 9}"],
            ["--configfile", "a.yaml", "b.yml", "--config", "seed=3", "dataset={n_ood: 9}"],
            ["-n"],
        ),
        (
            ["results/findings.md", "--cores", "4", "--config", "a.yaml"],
            ["--configfile", "a.yaml"],
            ["results/findings.md", "--cores", "4"],
        ),
        (["--configfile", "a.yaml"], [], ["--configfile", "a.yaml"]),
        (
            ["--profile", "slurm", "--configfile", "a"],
            ["--profile", str(ROOT / "slurm")],
            ["--configfile", "a"],
        ),
        (["--profile", "mine", "--configfile", "a"], ["--profile", "mine"], ["--configfile", "a"]),
    ],
)
def test_options_reach_snakemake(planned, words, options, further):
    for name in "a.yaml", "b.yml":
        Path(name).touch()
    assert main(["run", *words]) == 0
    assert planned == [options, further]


def test_the_configuration_of_the_folder_comes_before_the_default(planned):
    Path("config.yaml").touch()
    Path("slurm").mkdir()
    assert main(["run", "--profile", "slurm"]) == 0
    assert planned == [["--configfile", "config.yaml", "--profile", "slurm"], []]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("none.yaml", "--config: none.yaml does not exist; correct the path"),
        ("results/findings.md", "neither a file (.yaml, .yml, .json) nor KEY=VALUE; correct it"),
    ],
)
def test_what_is_no_configuration_is_refused(planned, capsys, word, message):
    assert main(["run", "--config", word]) == 1
    assert message in capsys.readouterr().err
    assert not planned


def test_the_default_run_is_planned_from_any_folder(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "results/tables/table1.csv", "--dry-run", "--quiet", "rules"]) == 0
    said = capfd.readouterr()
    assert "train_backbone" in said.out
    assert str(ROOT / "profiles/default") in said.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_snakemake_end_in_order(tmp_path, number):
    """The command ends no sooner than Snakemake, and with its status."""
    (tmp_path / "snakemake.py").write_text(
        "import signal, sys, time\n"
        "def end(*_):\n    time.sleep(0.6)\n    print('in order', flush=True)\n    sys.exit(7)\n"
        "signal.signal(signal.SIGINT, end)\nsignal.signal(signal.SIGTERM, end)\n"
        "print('begun', flush=True)\ntime.sleep(60)\n"
    )
    command = [sys.executable, "-m", "neuraldeps.command", "run"]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout.readline() == "begun\n"
        time.sleep(0.1)
        if number == signal.SIGINT:  # a terminal sends it to the whole group
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.stdout.read() == "in order\n"
        assert process.wait(30) == 7


@pytest.mark.parametrize("kind", config.KINDS)
def test_a_start_is_right_and_explains_itself(kind, capsys):
    assert main(["config", kind]) == 0
    text = capsys.readouterr().out
    filled = check_config(yaml.safe_load(text), kind)
    assert filled["dataset"]["kind"] == kind
    assert text.startswith("# ")


def test_a_start_is_written_once_and_checked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["config", "logits", "-o", "mine.yaml"]) == 0
    assert main(["config", "logits", "-o", "mine.yaml"]) == 1
    assert "mine.yaml cannot be written (File exists); give another name" in capsys.readouterr().err
    assert main(["config", "--check", "mine.yaml"]) == 0
    said = capsys.readouterr().out
    assert said == "mine.yaml: a right configuration of 1 network and 1000 categories\n"
    Path("over.yaml").write_text("dataset: {n_categories: 3}\n")
    assert main(["config", "--check", "mine.yaml", "over.yaml"]) == 1
    message = "mine.yaml, over.yaml: tables.table1.support_size is [3, 4]; it must be"
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset: {kind: [}", "c.yaml is not YAML in UTF-8"),
        ("", "c.yaml has no keys; `neuraldeps config` prints some to start from"),
        ("sed: 1", "c.yaml: unknown key sed; did you mean seed?"),
        (None, "c.yaml cannot be read (No such file or directory); correct the path"),
    ],
)
def test_a_wrong_configuration_is_refused_in_a_line(tmp_path, monkeypatch, capsys, text, message):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("c.yaml").write_text(text)
    assert main(["config", "--check", "c.yaml"]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_only_the_workflow_takes_further_words(capsys):
    with pytest.raises(SystemExit):
        main(["config", "--cores"])
    assert "config takes no --cores" in capsys.readouterr().err
    assert [name for name, one in COMMANDS.items() if one.takes_further] == ["run", "audit"]
