"""Cut the power while everything that a run publishes is published, many times over.

``python -m tests.faults.powercuts --cuts 1000`` prints what was found, as JSON, and ends with 1 if
anything was lost, half or wrong. ``--control 30`` prints the same of 30 cuts with fsync taken out.

A writer publishes three of a store, one in shards, a table, weights, a figure and a page, in any
order, into a `volatile` file system, and says through a pipe which of them are done. At a random change the power
goes, in one case of four once more while the writer begins again. Then it is looked at what is left:
what was called done must be there, and whatever stands under its name must have its bytes; a writer
that begins again must end with the same bytes, leave nothing over, and redo one shard at most.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from torch import manual_seed, nn

from neuraldeps.figures.style import save_figure
from neuraldeps.networks.checkpoints import save_checkpoint
from neuraldeps.stores import ShardedArray, aside, provenance, publish, to_be_written, write_store
from neuraldeps.tables.writing import Column, write_table

ROWS, SHARD = 40, 10
VALUES = np.random.default_rng(0).standard_normal((ROWS, 3)).astype(np.float32)
PATIENCE = 120  # seconds after which a writer is taken to hang


def store(path):
    attrs = provenance("powercuts", "a store")
    dataset = xr.Dataset({"m": (("a", "b"), VALUES), "n": ("a", VALUES[:, 0])}, attrs=attrs)
    write_store(dataset, path, contiguous=["m"])


def shards(path, tell):
    template = xr.Dataset(
        {"logits": (("sample", "category"), to_be_written(VALUES.shape, np.float32))},
        attrs=provenance("powercuts", "shards"),
    )
    array = ShardedArray(template, "logits", path, SHARD)
    array.begin()
    for shard in array.missing():
        tell(f"begin {shard}")
        array.write(shard, VALUES[slice(*array.bounds(shard))])
        tell(f"shard {shard}")
    array.finish()


def table(folder):
    frame = pd.DataFrame({"a": VALUES[:, 0]})
    outputs = {kind: f"{folder}/table.{kind}" for kind in ("csv", "md", "tex")}
    write_table(frame, {"a": Column("a", ".3f")}, outputs, caption="A table.", notes=["A note."])


def weights(path):
    manual_seed(0)
    save_checkpoint(nn.Linear(40, 30), path)


def figure(folder):
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(1, 1))
    drawn.add_subplot().plot(VALUES[:, 0])
    save_figure(drawn, f"{folder}/figure.png", f"{folder}/figure.svg")


def page(path):
    with aside(path) as work:
        work.write_text("A finding.\n" * 500)


# of each kind of publication: where it lies, and who makes it
KINDS = {
    "results/moments/m.zarr": lambda tell: store("results/moments/m.zarr"),
    "results/logits/f/fit.zarr": lambda tell: shards("results/logits/f/fit.zarr", tell),
    "results/tables": lambda tell: table("results/tables"),
    "results/networks/f/model.safetensors": lambda tell: weights(
        "results/networks/f/model.safetensors"
    ),
    "results/figures": lambda tell: figure("results/figures"),
    "results/findings.md": lambda tell: page("results/findings.md"),
}


def write(folder, order, pipe, *, with_sync):
    """Publish everything that is not there, as a run does, and tell what is done."""
    os.chdir(folder)
    # what a job prints while its disk is gone
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    if not with_sync:
        publish.sync = lambda path: None

    def tell(what):
        os.write(pipe, f"{what}\n".encode())

    for name in order:
        is_done = Path(name).is_dir() and not name.endswith(".zarr")
        if not Path(name).exists() or is_done:  # tables and figures: one of several files may lack
            KINDS[name](tell)
        tell(f"done {name}")


def child(arguments, with_sync):
    """Run the writer in a process of its own; what it told, and whether it came to its end."""
    reader, writer = os.pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(
        target=write, args=(*arguments, writer), kwargs={"with_sync": with_sync}
    )
    process.start()
    os.close(writer)
    process.join(PATIENCE)
    is_hanging = process.is_alive()
    if is_hanging:
        process.kill()
        process.join()
    with os.fdopen(reader) as told:
        return told.read().splitlines(), process.exitcode == 0, is_hanging


def contents(folder):
    """Every byte of a run, by name."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in Path(folder).rglob("*")
        if file.is_file()
    }


def unfinished(name):
    """Whether a file lies under no declared name."""
    return any(part.startswith(".") and part != ".checksums.json" for part in Path(name).parts)


class Disk:
    """A mounted `volatile` file system."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.volatile", folder], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 30
        while not os.path.ismount(folder):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.close()
                raise SystemExit("no FUSE file system can be mounted here")
            time.sleep(0.05)

    def tell(self, name, **how):
        os.setxattr(self.folder, f"user.{name}", json.dumps(how).encode())

    @property
    def state(self):
        return json.loads(os.getxattr(self.folder, "user.state"))

    def close(self):
        """Unmount, whatever is still open there."""
        for command in (["umount", "-l"], ["fusermount", "-uz"], ["fusermount3", "-uz"]):
            if os.path.ismount(self.folder) and shutil.which(command[0]):
                subprocess.run([*command, str(self.folder)], stderr=subprocess.DEVNULL, timeout=20)
        self.process.kill()
        self.process.wait()


def below(name, files):
    """Those of the files that a publication made."""
    return {one for one in files if one == name or one.startswith(f"{name}/")}


def wrong_in(folder, expected, told, found):
    """Count what a cut has left wrong: of bytes, of names, of what was called done."""
    left = contents(folder)
    for name, content in left.items():
        if not unfinished(name) and content != expected[name]:
            found["wrong bytes"] += 1
    for line in told:
        if line.startswith("done "):
            name = line.removeprefix("done ")
            if not below(name, expected) <= left.keys():
                found["lost after it was done"] += 1
    for name in KINDS:
        is_there = name.endswith(".zarr") and (folder / name).exists()
        found["half a store under its name"] += is_there and (
            below(name, left) != below(name, expected)
        )


def redone(told):
    """Shards that were written again although somebody had begun and ended them before."""
    ended = Counter(line for line in told if line.startswith("begin "))
    return sum(count - 1 for count in ended.values())


def one_run(disk, number, seed, expected, n_changes, with_sync, found):
    """Publish three things, with a cut or two, and look at what is left."""
    rng = random.Random(f"{seed} {number}")
    folder = disk.folder / f"run{number}"
    order = rng.sample(list(KINDS), 3)
    n_changes = sum(n_changes[name] for name in order)
    files = set().union(*(below(name, expected) for name in order))
    expected = {name: expected[name] for name in files}
    folder.mkdir()
    sync_folder(disk.folder, folder)
    told = []
    cuts = 2 if rng.random() < 0.25 else 1
    for _ in range(cuts):
        disk.tell("cut", after=rng.randrange(n_changes), seed=rng.randrange(2**30))
        lines, has_ended, is_hanging = child((folder, order), with_sync)
        told += lines
        found["hanging"] += is_hanging
        was_cut = disk.state["is_off"]
        disk.tell("on")
        found["cuts"] += was_cut
        found["writers that failed without a cut"] += not was_cut and not has_ended
        wrong_in(folder, expected, told, found)
    lines, has_ended, is_hanging = child((folder, order), with_sync)
    found["writers that could not go on"] += not has_ended
    found["hanging"] += is_hanging
    again = redone(told + lines)
    found["shards redone"] += again
    found["more than one shard redone in a cut"] += again > cuts
    left = contents(folder)
    found["other bytes in the end"] += {
        name: content for name, content in left.items() if not unfinished(name)
    } != expected
    found["left over in the end"] += sum(map(unfinished, left))
    disk.tell("clear")


def sync_folder(parent, folder):
    """The run's own folder is the user's: it was there long before."""
    for one in (folder, parent):
        descriptor = os.open(one, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def warm_up():
    """Do once what takes long the first time; no stores, whose threads a fork would leave behind."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, make in KINDS.items():
            if not name.endswith(".zarr"):
                make(lambda what: None)
    publish._durable.clear()


def cut_power(cuts, seed, *, with_sync=True):
    """Cut the power so often; what was found, by what it is called."""
    found, began = Counter(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        disk = Disk(folder)
        stack.callback(disk.close)
        whole = disk.folder / "whole"
        whole.mkdir()
        n_changes = {}
        for name in KINDS:
            before = disk.state["changes"]
            _, has_ended, _ = child((whole, [name]), with_sync)
            if not has_ended:
                raise SystemExit(f"the writer fails without any cut: {name}")
            n_changes[name] = disk.state["changes"] - before
        expected = contents(whole)
        disk.tell("clear")
        number = 0
        while found["cuts"] < cuts:
            one_run(disk, number, seed, expected, n_changes, with_sync, found)
            number += 1
            if number % 50 == 0:
                print(number, dict(found), file=sys.stderr, flush=True)
    return {
        "changes of the file system, of all kinds": sum(n_changes.values()),
        "runs": number,
        "seconds": round(time.monotonic() - began),
        **found,
    }


HARMLESS = {"cuts", "runs", "seconds", "shards redone", "changes of the file system, of all kinds"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", type=int, default=0, help="cuts with fsync taken out")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so unmount
    warm_up()
    found = cut_power(arguments.cuts, arguments.seed)
    print(json.dumps(found), flush=True)
    if arguments.control:
        print(json.dumps(cut_power(arguments.control, arguments.seed, with_sync=False)))
    return int(any(count for what, count in found.items() if what not in HARMLESS))


if __name__ == "__main__":
    raise SystemExit(main())
