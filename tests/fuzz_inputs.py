"""Feed what comes from outside with bytes that atheris chooses by the lines that they reach.

``python -m tests.fuzz_inputs KIND --seconds 3600`` needs `pip install atheris` and begins with what the repository and
NumPy, PyTorch, Pillow and safetensors make. KIND is one of `TARGETS`. Whatever is refused must be refused as a user
would see it, in one line; everything else is a finding, kept in ``--findings`` by its place: another exception, several
lines, more than twenty seconds, or more than four gigabytes.
"""

import argparse
import io
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS, MEGABYTES = 20, 4096


def config(path):
    """A configuration, as the Snakefile checks it after Snakemake has read it."""
    from snakemake.common.configfile import load_configfile
    from snakemake.exceptions import WorkflowError

    from neuraldeps.config import complete_config

    try:
        found = load_configfile(path)
    except WorkflowError:  # Snakemake's own line: no YAML
        return
    except (OSError, UnicodeDecodeError):
        return
    complete_config(dict(found), [path], {})


def table(path):
    """A table of images; none of its files is there, unless it names this very table."""
    from neuraldeps.images.classes import Categories
    from neuraldeps.images.index import list_table

    list_table(path, None, Categories(["a", "b"], ["cat", "dog"]), "dataset.splits.fit")


def categories(path):
    """A table of categories."""
    from neuraldeps.images.classes import load_categories

    load_categories(path, 3)


def checkpoint(path):
    """A weight file, put into a small network."""
    from torch import nn

    from neuraldeps.networks.checkpoints import load_checkpoint

    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    network.num_classes = 2  # as every network of timm has it
    load_checkpoint(network, path, "a")


def image(path):
    """An image, as a data set of photos reads and resizes it."""
    from neuraldeps.errors import InputError
    from neuraldeps.images.photos import _Photos, _Rows, _Transform

    transform = _Transform({"input_size": (3, 32, 32)}, seed=0)
    found = _Photos("index.zarr", None, _Rows([path], [0], [0]), transform)[0]
    if isinstance(found, str):
        raise InputError(found)


def array(path):
    """Logits, and the same as labels and as paths."""
    from neuraldeps.errors import InputError
    from neuraldeps.logits.arrays import as_labels, check_column, check_label_type
    from neuraldeps.logits.external import open_logits, read_labels, read_paths

    lines = []
    try:
        open_logits(path, "models.a.logits.fit")
    except InputError as error:
        lines.append(error)
    try:
        labels = read_labels(path, "models.a.labels.fit")
        check_column(labels.values, labels.where, 4)
        check_label_type(labels.values.dtype, labels.where)
        as_labels(labels.values, labels.where, 3)
    except InputError as error:
        lines.append(error)
    read_paths(path, "models.a.paths.fit")
    if lines:
        raise lines[0]


# what is fed, under which name, and the packages whose lines count
TARGETS = {
    "config": (config, "config.yaml", ("neuraldeps.config", "yaml")),
    "table": (table, "images.csv", ("neuraldeps.images", "csv")),
    "categories": (categories, "categories.csv", ("neuraldeps.images", "csv")),
    "checkpoint": (
        checkpoint,
        "weights.pth",
        ("neuraldeps.networks", "torch._weights_only_unpickler"),
    ),
    "image": (image, "image.png", ("neuraldeps.images", "PIL")),
    "array": (array, "array.npy", ("neuraldeps.logits", "numpy.lib")),
}


def seeds(kind):
    """Good inputs of a kind, to begin with."""
    if kind == "config":
        for path in [
            *ROOT.glob("config*.yaml"),
            *ROOT.glob("config/*.yaml"),
            *ROOT.glob("tests/**/*.yaml"),
        ]:
            yield path.read_bytes()
    elif kind in ("table", "categories"):
        yield b"path,label\nimages.csv,a\nimages.csv,1\nimages.csv,\n"
        yield b'code,name\nn1,cat\nn2,dog\nn3,"a, b"\n'
        yield "\ufeffPath;Label\nimages.csv;dog\n".encode()
        yield "path\tlabel\nimages.csv\tdog\n".encode("utf-16")
    elif kind == "checkpoint":
        yield from _weights()
    elif kind == "image":
        yield from _images()
    elif kind == "array":
        yield from _arrays()


def _weights():
    import torch
    from safetensors.torch import save
    from torch import nn

    network = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    weights = network.state_dict()
    yield save(weights)
    for content in (weights, {"state_dict": weights, "epoch": 3}, network, [1, 2]):
        for is_zip in (True, False):
            out = io.BytesIO()
            torch.save(content, out, _use_new_zipfile_serialization=is_zip)
            yield out.getvalue()


def _images():
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for mode, form in [
        *(("RGB", form) for form in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")),
        *(
            ("L", "PNG"),
            ("I;16", "PNG"),
            ("RGBA", "PNG"),
            ("P", "GIF"),
            ("CMYK", "JPEG"),
            ("F", "TIFF"),
        ),
    ]:
        pixels = Image.fromarray(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8))
        out = io.BytesIO()
        (pixels.convert(mode) if mode != "I;16" else pixels.convert("I").convert(mode)).save(
            out, form
        )
        yield out.getvalue()


def _arrays():
    import numpy as np

    for values in (
        np.zeros((4, 3), np.float32),
        np.asfortranarray(np.ones((4, 3), ">f8")),
        np.array([0, 1, 2, -1]),
        np.array(["a.png", "b.png", "c", "d"]),
        np.array([b"a", b"b", b"c", b"d"]),
        np.array([None, {}, 1, "a"], dtype=object),
    ):
        for version in ((1, 0), (2, 0), (3, 0)):
            out = io.BytesIO()
            np.lib.format.write_array(out, values, version=version)
            yield out.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("zarr.json", '{"zarr_format": 3, "node_type": "group"}')
    yield out.getvalue()


def place(error):
    """Where an exception was raised, by the last lines of this project and of all."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/neuraldeps/" in frame.filename] or frames
    return f"{type(error).__name__}-{Path(own[-1].filename).stem}-{own[-1].lineno}"


def feed(kind, findings, arguments):
    """Let atheris run until its time is over; findings are files."""
    import atheris

    target, name, packages = TARGETS[kind]
    with atheris.instrument_imports(include=list(packages)):
        from neuraldeps.errors import InputError

        os.chdir(tempfile.mkdtemp())
        for seed in seeds(kind):  # imports what is imported on the way
            Path(name).write_bytes(seed)
            with_line(target, name, InputError)

    def one(data):
        Path(name).write_bytes(data)
        if found := with_line(target, name, InputError):
            what, text = found
            kept = findings / f"{kind}-{what}"
            if not kept.exists():
                kept.write_bytes(data)
                (findings / f"{kind}-{what}.txt").write_text(text)

    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()


def with_line(target, name, refusal):
    """What is no refusal in one line: its place, and what a user would see."""
    try:
        target(name)
    except refusal as error:
        if "\n" in str(error) or not str(error).strip():
            return f"lines-{place(error)}", str(error)
    except Exception as error:
        return place(error), traceback.format_exc()
    return None


def main():
    """Run one kind in a process of its own; end with 1 if anything was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("kind", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=Path("findings"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    findings = options.findings.resolve()
    findings.mkdir(parents=True, exist_ok=True)
    if options.inside:
        warnings.simplefilter("ignore")
        corpus = Path(tempfile.mkdtemp())
        for number, seed in enumerate(seeds(options.kind)):
            (corpus / str(number)).write_bytes(seed)
        feed(
            options.kind,
            findings,
            [
                f"-max_total_time={options.seconds}",
                f"-seed={options.seed}",
                f"-timeout={SECONDS}",
                f"-rss_limit_mb={MEGABYTES}",
                f"-artifact_prefix={findings}/{options.kind}-",
                "-max_len=8192",
                str(corpus),
            ],
        )
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.fuzz_inputs", *sys.argv[1:], "--inside"]
    in_memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fuzz", dir=in_memory) as place:
        run = subprocess.run(
            command,
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**os.environ, "TMPDIR": place},
        )
    last = [line for line in run.stderr.splitlines() if re.match(r"#\d+|Done", line)][-1:]
    found = sorted(path.name for path in findings.glob(f"{options.kind}-*"))
    print(
        f"{options.kind}: {time.monotonic() - began:.0f} s, {' '.join(last)}; found: {found or 'nothing'}"
    )
    if run.returncode and not found:
        print(run.stderr[-3000:])
    raise SystemExit(bool(found) or run.returncode)


if __name__ == "__main__":
    main()
