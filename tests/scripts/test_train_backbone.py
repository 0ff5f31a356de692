import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuraldeps.errors import InputError
from neuraldeps.networks.build import build_network
from neuraldeps.networks.checkpoints import load_checkpoint
from tests.scripts.networks import N_CATEGORIES, check, render, train


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    render(folder, {})
    return folder


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    check(folder)
    train(folder, images)
    return folder


def test_a_network_is_left_with_its_curve(trained):
    assert sorted(path.name for path in trained.iterdir()) == [
        "card.json",
        "curve.csv",
        "model.safetensors",
    ]
    with open(trained / "curve.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == [1, 2]
    assert float(rows[1]["train_loss"]) < float(rows[0]["train_loss"])
    card = json.loads((trained / "card.json").read_text())
    network = build_network("net", card, N_CATEGORIES, card)
    load_checkpoint(network, str(trained / "model.safetensors"), "net")


def test_the_same_options_give_the_same_bytes(trained, images, tmp_path):
    check(tmp_path)
    train(tmp_path, images)
    for name in "card.json", "curve.csv", "model.safetensors":
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_a_schedule_in_two_parts_gives_the_same_bytes(trained, images, tmp_path):
    """As where Table 3's fine-tuning starts before the end of the baseline's schedule."""
    start, rest = tmp_path / "start", tmp_path / "rest"
    state = f"{start}/last.ckpt"
    for folder, part in (start, {"state": state, "stop_after": 1}), (rest, {"begun": state}):
        check(folder)
        train(folder, images, part=part)
    assert sorted(path.name for path in start.iterdir()) == [
        "card.json",
        "curve.csv",
        "last.ckpt",
        "model.safetensors",
    ]
    for name in "curve.csv", "model.safetensors":
        assert (rest / name).read_bytes() == (trained / name).read_bytes()
    assert (trained / "curve.csv").read_bytes().startswith((start / "curve.csv").read_bytes())


def test_another_seed_gives_another_network(trained, images, tmp_path):
    check(tmp_path)
    train(tmp_path, images, seed=1)
    ours, theirs = ((f / "model.safetensors").read_bytes() for f in (tmp_path, trained))
    assert ours != theirs


def test_a_killed_training_resumes_to_the_same_bytes(trained, images, tmp_path):
    """kill -9 of a real process after its first epoch."""
    check(tmp_path)
    code = (
        "from pathlib import Path; from tests.scripts.networks import train; "
        f"train(Path({str(tmp_path)!r}), Path({str(images)!r}))"
    )
    root = Path(__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob(".training.*.partial/last.ckpt")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "model.safetensors").exists()
    train(tmp_path, images)
    for name in "curve.csv", "model.safetensors":
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_other_options_do_not_resume_from_these(images, tmp_path):
    check(tmp_path)
    left = tmp_path / ".training.0123456789abcdef.partial"
    left.mkdir()
    (left / "last.ckpt").write_bytes(b"of another configuration")
    train(tmp_path, images, epochs=1)
    assert (tmp_path / "model.safetensors").exists()


def test_a_checkpoint_of_another_shape_fails_before_long_work(trained, tmp_path):
    with pytest.raises(InputError, match=r"models\.net\.checkpoint: .* lacks .*set models\.net"):
        check(tmp_path, str(trained / "model.safetensors"), architecture="test_resnet")
    assert not (tmp_path / "card.json").exists()
    check(tmp_path, str(trained / "model.safetensors"))
