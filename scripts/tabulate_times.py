"""Gather what trainings and the learning of new categories took, in total and per pass over images."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from neuraldeps.logs import job_log
from neuraldeps.stores import aside

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def main(
    trainings: Sequence[Mapping[str, Any]],
    extraction: Sequence[str],
    learning: Sequence[str],
    times: str,
) -> None:
    rows = [*_trainings(trainings), *_extractions(extraction)]
    for path in learning:
        model, setting, seed = Path(path).parts[-4:-1]
        what = {"model": model, "setting": setting, "seed": seed}
        for row in pd.read_csv(path).itertuples():
            step = {"step": f"learn W, {row.variant}", "passes": row.passes, "seconds": row.seconds}
            rows.append(what | step)
    columns = ["model", "setting", "seed", "step", "passes", "seconds"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["seconds_per_pass"] = (frame["seconds"] / frame["passes"]).round(3)
    with aside(times) as work:
        frame.to_csv(work, index=False)


def existing(paths: Sequence[str]) -> list[str]:
    """Paths of the log files that still stand; the others' times are left out."""
    return [path for path in paths if Path(path).exists()]


def _trainings(trainings: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for one in trainings:
        if existing(one["benchmarks"]) == one["benchmarks"]:
            what = {key: one[key] for key in ("model", "setting", "seed")} | {
                "step": "train network"
            }
            seconds = sum(_seconds(path) for path in one["benchmarks"])
            yield what | {"passes": one["epochs"], "seconds": seconds}


def _extractions(paths: Sequence[str]) -> Iterator[dict[str, Any]]:
    for path in paths:
        model, setting, seed = Path(path).parts[-4:-1]
        what = {"model": model, "setting": setting, "seed": seed, "step": "extract logits"}
        yield what | {"passes": 1, "seconds": _seconds(path)}


def _seconds(path: str) -> float:
    """Wall-clock time of a job; Snakemake only samples CPU time, up to half a minute short."""
    return float(pd.read_csv(path, sep="\t")["s"].iloc[0])


if __name__ == "__main__":
    with job_log(snakemake.log[0]):
        main(
            snakemake.params.trainings,
            existing(snakemake.params.extraction),
            existing(snakemake.params.learning),
            snakemake.output.times,
        )
