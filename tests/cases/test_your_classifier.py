"""docs/your_classifier.md, executed: every block of code, on files as its reader has them."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from neuraldeps.command import audit
from neuraldeps.command.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/your_classifier.md").read_text()
N = 12
NAMES = sorted(f"thing {number}" for number in range(N))


def blocks():
    """Language and code of every block, by the heading that it stands under."""
    for section in re.split(r"^## ", PAGE, flags=re.M)[1:]:
        heading = section.split("\n", 1)[0]
        for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", section, flags=re.M | re.S):
            yield heading, language, code


def of(heading, language):
    """The blocks of a language under a heading."""
    found = [code for where, kind, code in blocks() if (where, kind) == (heading, language)]
    assert found, heading
    return found


def python(heading, folder, **environment):
    """Execute a section's Python, if what it imports is installed."""
    (code,) = of(heading, "python")
    for name in re.findall(r"^(?:import|from) (\w+)", code, flags=re.M):
        if importlib.util.find_spec(name) is None and not (folder / f"{name}.py").exists():
            pytest.skip(f"{name} is not installed")
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr


def commands(heading):
    """Words of every command of the shell under a heading."""
    for code in of(heading, "sh"):
        for line in code.replace("\\\n", " ").splitlines():
            name, *words = shlex.split(line, comments=True)
            assert name == "neuraldeps"
            yield words


def accepted(folder, monkeypatch, *, has_names=True):
    """The page's audit takes the arrays that a section's code has saved, up to the run itself."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(audit, "run_workflow", lambda *_: 0)
    (words,) = commands("Logits in arrays")
    if not has_names:
        at = words.index("--names")
        del words[at : at + 2]
    assert main(words) == 0
    return yaml.safe_load((folder / "audit/config.yaml").read_text())


def arrays(folder, columns=N, rows=300):
    """Inputs or logits, and labels, of both sets."""
    rng = np.random.default_rng(0)
    for split in "fit", "test":
        np.save(folder / f"{split}.npy", rng.standard_normal((rows, columns)).astype(np.float32))
        np.save(folder / f"{split}_labels.npy", rng.integers(0, N, rows))


def folders(folder):
    """Images in folders by category."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for split in "train", "val":
        for name in NAMES:
            place = folder / "data" / split / name
            place.mkdir(parents=True)
            pixels = rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(place / "0.png")


def test_every_block_of_the_page_is_executed_here():
    assert {(heading, language) for heading, language, _ in blocks()} == {
        ("Logits in arrays", "sh"),
        ("A timm checkpoint, and images in folders", "sh"),
        ("A timm checkpoint, and images in folders", "yaml"),
        ("torchvision, or any PyTorch module", "python"),
        ("A Hugging Face checkpoint", "python"),
        ("Keras", "python"),
        ("JAX", "python"),
        ("A text classifier", "python"),
    }


def test_arrays(tmp_path, monkeypatch, capfd):
    """The run itself is planned; test_wheel.py has one that is done."""
    arrays(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    monkeypatch.chdir(tmp_path)
    (words,) = commands("Logits in arrays")
    assert main([*words, "--dry-run", "--quiet", "rules"]) == 0
    assert "tabulate_dependencies" in capfd.readouterr().out
    assert (tmp_path / "audit/config.yaml").exists()


def test_a_timm_checkpoint(tmp_path, monkeypatch, capfd):
    heading = "A timm checkpoint, and images in folders"
    folders(tmp_path)
    (tmp_path / "mine.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    (config,) = of(heading, "yaml")
    first, *others, dry, run = commands(heading)
    assert main(first) == 0
    started = yaml.safe_load(Path("mine.yaml").read_text())
    own = yaml.safe_load(config)
    assert {**started, **own, "dataset": own["dataset"]} == started, "the page's is the start's"
    Path(config.splitlines()[0].removeprefix("# ")).write_text(config)
    for words in others:
        assert main(words) == 0
    assert dry == [*run, "--dry-run"]
    assert main(dry) == 0
    assert "extract_logits" in capfd.readouterr().out


def test_torchvision(tmp_path, monkeypatch):
    import torch
    from torchvision import models

    folders(tmp_path)
    torch.manual_seed(0)
    torch.save(models.resnet18(num_classes=N).state_dict(), tmp_path / "mine.pth")
    python("torchvision, or any PyTorch module", tmp_path)
    config = accepted(tmp_path, monkeypatch)
    assert config["dataset"]["n_categories"] == N
    assert (tmp_path / "names.txt").read_text().split("\n") == NAMES
    assert np.load(tmp_path / "test_labels.npy").tolist() == list(range(N))


def test_hugging_face(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    folders(tmp_path)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=32,
        id2label=dict(enumerate(NAMES)),
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "mine")
    size = {"height": 32, "width": 32}
    transformers.ViTImageProcessor(size=size).save_pretrained(tmp_path / "mine")
    python("A Hugging Face checkpoint", tmp_path, HF_HUB_OFFLINE="1")
    accepted(tmp_path, monkeypatch)
    assert (tmp_path / "names.txt").read_text().split("\n") == NAMES


def inputs(folder):
    """Inputs of five numbers, and labels."""
    arrays(folder, columns=5)
    for split in "fit", "test":
        (folder / f"{split}.npy").rename(folder / f"{split}_inputs.npy")


def test_keras(tmp_path, monkeypatch):
    for backend in "tensorflow", "jax", "torch":
        if importlib.util.find_spec(backend):
            monkeypatch.setenv("KERAS_BACKEND", backend)
    keras = pytest.importorskip("keras", reason="keras is not installed")
    inputs(tmp_path)
    layers = [keras.Input((5,)), keras.layers.Dense(N, activation="softmax")]
    keras.Sequential(layers).save(tmp_path / "mine.keras")
    python("Keras", tmp_path)
    accepted(tmp_path, monkeypatch, has_names=False)
    assert np.load(tmp_path / "fit.npy").min() < 0  # no probabilities


def test_jax(tmp_path, monkeypatch):
    inputs(tmp_path)
    (tmp_path / "mine.py").write_text(
        "import jax.numpy as jnp\n"
        f"params = jnp.linspace(-1, 1, 5 * {N}).reshape(5, {N}).astype(jnp.bfloat16)\n"
        "def apply(params, inputs):\n    return inputs.astype(jnp.bfloat16) @ params\n"
    )
    python("JAX", tmp_path)
    accepted(tmp_path, monkeypatch, has_names=False)


def test_a_text_classifier(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    rows = [
        f"{' '.join(f'word{word}' for word in rng.integers(0, 40, 4))}{3 * f' about{number}'},{name}"
        for number, name in enumerate(NAMES)
        for _ in range(9)
    ]
    (tmp_path / "texts.csv").write_text("\n".join(["text,category", *rows]))
    python("A text classifier", tmp_path)
    config = accepted(tmp_path, monkeypatch)
    assert config["dataset"]["categories"] == "categories.csv"
    logits, label = (np.load(tmp_path / f"test{part}.npy") for part in ("", "_labels"))
    assert (logits.argmax(1) == label).mean() > 0.5  # the labels are of the logits' rows
