import json
import runpy
from pathlib import Path

import dask
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from distributed import LocalCluster
from sklearn.linear_model import Lasso

from neuraldeps.arms import (
    ARMS,
    DependencyPenalty,
)
from neuraldeps.categories import restriction
from neuraldeps.errors import InputError
from neuraldeps.images.glyphs import data_config, draw_bitmaps, load_categories
from neuraldeps.images.poses import PosedGlyphs, bitmap_tensor
from neuraldeps.logs import job_log
from neuraldeps.moments import second_moment
from neuraldeps.networks.build import build_network
from neuraldeps.networks.checkpoints import save_checkpoint
from neuraldeps.networks.training import train
from neuraldeps.robustness.detection import OOD_METRICS, OodMetric
from neuraldeps.robustness.measures import baseline_penalty, measure_dependency, measure_robustness
from neuraldeps.robustness.scores import measure_scores
from neuraldeps.robustness.significance import bootstrap_differences, holm, mcnemar
from neuraldeps.stores import provenance, strings, write_store
from neuraldeps.tables import robustness as robustness_table
from neuraldeps.tables.robustness import (
    arm_measures,
    printable_table,
    shown_table,
    table3,
    table3_notes,
)
from neuraldeps.tables.writing import write_table
from scripts import measure_robustness as script
from tests.options import training_options
from tests.workflow.conftest import contents

N = 6
NAMES = ["RED CAT", "RED DOG", "BLUE FISH", "GREEN BIRD", "BLUE BIRD", "OLD HOUSE"]


# --- the penalty


# --- measures on planted logits


def write_logits(path, logits, label, folders=None):
    n, categories = logits.shape
    names = [f"{folders[k] if folders else 'images'}/{k}.png" for k in range(n)]
    dataset = xr.Dataset(
        {"logits": (("sample", "category"), logits.astype(np.float32))},
        {
            "label": ("sample", label.astype(np.int32)),
            "path": ("sample", strings(names)),
            "category": np.arange(categories, dtype=np.int32),
            "category_name": ("category", strings(NAMES)),
            "category_code": ("category", strings([f"n{k}" for k in range(categories)])),
        },
        provenance("test", "planted"),
    )
    write_store(dataset, path, {"logits": (64, categories)})
    return str(path)


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Logits of four arms: category 0 depends on 3; the penalty's arms have lost that."""
    folder = tmp_path_factory.mktemp("planted")
    rng = np.random.default_rng(0)
    label = np.arange(300) % N
    stores = {}
    for arm in ARMS:
        stores[arm] = {}
        for role in ("fit", "test", "ood"):
            logits = rng.normal(size=(300, N))
            if role != "ood":
                logits[np.arange(300), label] += 4 if arm == "baseline" else 6
            if arm in ("baseline", "control"):
                logits[:, 0] = 0.8 * logits[:, 3] + 0.2 * logits[:, 0]
            shown = np.full(300, -1) if role == "ood" else label
            folders = [f"n{k % 3}" for k in range(300)] if role == "ood" else None
            path = folder / arm / f"{role}.zarr"
            stores[arm][role] = write_logits(path, logits, shown, folders)
    return stores


PAIR = {
    "target": 0, "source": 3, "target_name": "RED CAT", "target_code": "n0",
    "source_name": "GREEN BIRD", "source_code": "n3", "chosen": "auto", "support_size": 1,
    "coef": 0.8, "shared_words": 0, "shape_distance": None,
}  # fmt: skip


def measure(planted, **options):
    given = {"model": "net", "seed": 0, "dataset": "planted", "centering": "none", "alpha": [0.05]}
    with dask.config.set(scheduler="synchronous"):
        return measure_robustness(planted, PAIR, compute=dask.compute, **given, **options)


@pytest.fixture(scope="module")
def measured(planted):
    return measure(planted)


def logits_of(planted, arm, role):
    return xr.open_zarr(planted[arm][role])["logits"].values.astype(float)


def test_theta_is_scikit_learns_on_the_arms_own_logits(planted, measured):
    for arm in ARMS:
        f = logits_of(planted, arm, "fit")
        at = measured.sel(arm=arm)
        for penalty in range(measured.sizes["penalty"]):
            alpha = float(at["alpha"][penalty])
            lasso = Lasso(alpha=alpha, fit_intercept=False, tol=1e-12, max_iter=50_000)
            oracle = np.insert(lasso.fit(f[:, 1:], f[:, 0]).coef_, 0, 0.0)
            np.testing.assert_allclose(at["coef"][penalty], oracle, atol=1e-6)
            assert float(at["theta"][penalty]) == float(at["coef"][penalty, 3])
    assert (measured["dual_gap"] <= 1e-12 * measured["second_moment_target"]).all()


def test_equal_alpha_and_equal_ratio_are_the_same_for_the_baseline_alone(measured):
    alpha, ratio = measured["penalty_value"].values[:2]
    assert measured["penalty_kind"].values[:2].tolist() == ["alpha", "relative_alpha"]
    np.testing.assert_allclose(measured["alpha"].values[:, 0], alpha)
    np.testing.assert_allclose(
        measured["alpha"].values[:, 1], ratio * measured["alpha_max"].values, rtol=1e-12
    )
    base = measured.sel(arm="baseline")
    assert float(base["alpha"][0]) == pytest.approx(float(base["alpha"][1]), rel=1e-12)
    assert (measured["support_size"].values[0, :2] <= 1).all()


def measured_by_script(planted, folder, name, **how):
    """What the rule's script writes of the planted arms."""
    (folder / "pair.json").write_text(json.dumps(PAIR))
    path = folder / f"{name}.zarr"
    given = {
        "model": "net",
        "seed": 0,
        "dataset": "planted",
        "centering": "none",
        "ood_categories": "all",
    }
    given |= {"alpha": [0.05], "relative_alpha": []}
    script.main(planted, str(folder / "pair.json"), str(path), **given, **how)
    return path


def test_moments_are_reduced_on_the_jobs_threads(planted, measured, tmp_path, monkeypatch):
    seen = []

    def watch(*files, threads, **how):
        seen.append((threads, dask.config.get("num_workers")))
        return second_moment(*files, threads=threads, **how)

    monkeypatch.setattr("neuraldeps.robustness.measures.second_moment", watch)
    path = measured_by_script(planted, tmp_path, "threads", scheduler=None, threads=3)
    assert seen == [(3, 3)] * len(ARMS)
    xr.testing.assert_identical(xr.open_zarr(path).load(), measured)


def test_moments_are_reduced_on_the_scheduler_asked_for(planted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # as in a job, whose folder is not the workers'
    threads = measured_by_script(planted, tmp_path, "threads", scheduler=None, threads=1)
    with job_log("measure.log"):
        how = {"n_workers": 1, "threads_per_worker": 2, "dashboard_address": None}
        with LocalCluster(**how) as cluster:
            address = cluster.scheduler_address
            there = measured_by_script(planted, tmp_path, "there", scheduler=address, threads=1)
    assert address in (tmp_path / "measure.log").read_text()
    assert contents(there) == contents(threads)


def test_moments_of_the_pair_are_numpys(planted, measured):
    for arm in ARMS:
        f = logits_of(planted, arm, "fit")
        at = measured.sel(arm=arm)
        assert float(at["second_moment_target"]) == pytest.approx((f[:, 0] ** 2).mean())
        assert float(at["second_moment_source"]) == pytest.approx((f[:, 3] ** 2).mean())
        assert float(at["cross_moment"]) == pytest.approx((f[:, 0] * f[:, 3]).mean())


def test_scores_are_minus_the_largest_softmax(planted):
    f = logits_of(planted, "literal", "test")
    softmax = np.exp(f) / np.exp(f).sum(1, keepdims=True)
    winner, score = measure_scores(planted["literal"]["test"], rows=77)
    np.testing.assert_array_equal(winner, f.argmax(1))
    np.testing.assert_allclose(score, -softmax.max(1), rtol=1e-12)


def test_a_restriction_by_folders_leaves_the_other_categories_out(planted):
    test, ood = (xr.open_zarr(planted["baseline"][role]) for role in ("test", "ood"))
    chosen = restriction(test, ood, "folders")
    assert chosen.tolist() == [0, 1, 2]
    assert restriction(test, ood, ["BLUE BIRD", "n2"]).tolist() == [2, 4]
    assert restriction(test, ood, "all") is None
    with pytest.raises(InputError, match=r"robustness\.ood_categories: no category"):
        restriction(test, ood, ["n77"])
    restricted = measure(planted, ood_categories="folders")
    kept = np.isin(restricted["label"].values, chosen)
    np.testing.assert_array_equal(np.isfinite(restricted["anomaly_score"].values[0]), kept)
    f = logits_of(planted, "control", "ood")[:, :3]
    oracle = -(np.exp(f) / np.exp(f).sum(1, keepdims=True)).max(1)
    at = restricted.sel(arm="control")
    np.testing.assert_allclose(at["ood_anomaly_score"], oracle, rtol=1e-12)
    assert restricted.attrs["n_restricted"] == 3


def test_a_dead_category_has_no_dependency():
    moment = np.diag([0.0, 1.0, 2.0])
    solved = measure_dependency(moment, 0, [("alpha", 0.1), ("relative_alpha", 0.1)])
    assert solved["alpha_max"] == 0
    assert not solved["coef"].any()


def test_a_dead_category_of_the_baseline_has_no_penalty_to_compare_at():
    with pytest.raises(
        InputError, match=r"robustness\.category_pair: category 0, i of the pair, depends on no"
    ):
        baseline_penalty(np.diag([0.0, 1.0, 2.0]), 0, 1)


@pytest.fixture(scope="module")
def partly_labelled(planted, tmp_path_factory):
    """Measures with 30 % of the test labels removed, and with only the images that have one."""
    folder = tmp_path_factory.mktemp("partly")
    known = np.random.default_rng(2).random(300) > 0.3
    found = []
    for name, rows in ("partly", np.ones(300, bool)), ("labelled", known):
        stores = {}
        for arm in ARMS:
            store = xr.open_zarr(planted[arm]["test"])
            label = np.where(known, store["label"].values, -1)
            path = folder / f"{name}_{arm}.zarr"
            test = write_logits(path, store["logits"].values[rows], label[rows])
            stores[arm] = planted[arm] | {"test": test}
        found.append((stores, measure(stores)))
    return found


def test_images_without_a_label_are_in_no_accuracy_area_or_test(partly_labelled):
    (_, partly), (_, labelled) = partly_labelled
    assert arm_measures(partly) == arm_measures(labelled)
    drawn, oracle = (bootstrap_differences([one], 20, seed=0) for one in (partly, labelled))
    assert all(np.array_equal(drawn[what], oracle[what]) for what in oracle)
    frames = [table3({"net": [one]}, n_bootstrap=20, seed=0) for one in (partly, labelled)]
    pd.testing.assert_frame_equal(*frames)
    notes = [
        table3_notes({"net": [one]}, "", "", 20, with_paper=False) for one in (partly, labelled)
    ]
    assert notes[0] == notes[1]
    inside = np.isfinite(partly["anomaly_score"].values)
    np.testing.assert_array_equal(
        inside, np.broadcast_to(partly["label"].values >= 0, inside.shape)
    )


def test_no_image_that_is_known_to_be_in_distribution_is_said(partly_labelled):
    (stores, _), _ = partly_labelled
    stores = {arm: paths | {"test": paths["ood"]} for arm, paths in stores.items()}
    with pytest.raises(InputError, match=r"ood_categories is 'all': no image of .*ood\.zarr has a"):
        measure(stores)


def test_a_further_metric_is_one_entry(measured, monkeypatch):
    def last(hits, alarms):
        return alarms[-1] / (hits[-1] + alarms[-1])

    monkeypatch.setitem(OOD_METRICS, "last", OodMetric("LAST", last, ".1f"))
    tables = runpy.run_path(robustness_table.__file__)
    frame = tables["table3"]({"net": [measured]}, n_bootstrap=5, seed=0)
    assert frame["last"].tolist() == [50] * len(ARMS)
    assert {"last_std", "last_diff", "last_low", "last_high"} <= set(frame)
    shown, columns = tables["shown_table"](frame)
    assert shown["last_text"].tolist() == ["50.0"] * len(ARMS)
    headings = [column.heading for column in columns.values()]
    at = headings.index("AUROC - control")
    assert headings[at : at + 3] == ["AUROC - control", "LAST (%)", "LAST - control"]
    notes = tables["table3_notes"]({"net": [measured]}, "", "", 5, with_paper=False)
    assert any(note.startswith("AUPR, AUROC and LAST: anomaly score") for note in notes)


# --- differences


def test_a_planted_difference_is_found_and_none_is_not(planted, measured):
    drawn = bootstrap_differences([measured], 300, seed=0)
    numbers = arm_measures(measured)
    for metric in ("acc", "aupr", "auroc"):
        low, high = np.quantile(drawn["baseline", metric], [0.025, 0.975])
        difference = numbers["baseline"][metric] - numbers["control"][metric]
        assert low < difference < high < 0
        assert not drawn["control", metric].any()
    low, high = np.quantile(drawn["literal", "auroc"], [0.025, 0.975])
    assert low < 5
    assert high > -5
    f, label = logits_of(planted, "literal", "test"), measured["label"].values
    assert numbers["literal"]["acc"] == pytest.approx(100 * (f.argmax(1) == label).mean())
    of_target = (f.argmax(1) == label)[label == 0]
    assert numbers["literal"]["acc_target"] == pytest.approx(100 * of_target.mean())


def test_the_interval_of_accuracy_is_the_binomials(measured):
    """The bootstrap's deviation of a mean of n differences is their deviation / sqrt(n)."""
    drawn = bootstrap_differences([measured], 2000, seed=1)["baseline", "acc"]
    right = measured["predicted"].values == measured["label"].values
    difference = 100 * (right[0].astype(float) - right[1])
    oracle = difference.std() / np.sqrt(len(difference))
    assert drawn.std() == pytest.approx(oracle, rel=0.1)  # 2000 draws: 1.6 %


def test_mcnemar_counts_who_alone_is_right():
    ours, control = np.array([1, 1, 1, 1, 1, 0, 1, 0], bool), np.array([0] * 5 + [1, 1, 0], bool)
    assert mcnemar(ours, control) == pytest.approx(2 * (1 + 6) / 2**6)
    assert mcnemar(ours, ours) == 1.0


def test_holms_adjustment_is_by_hand():
    """Times 4, 3, 2, 1 in rising order, and never falling; what was not tested does not count."""
    p = np.array([[0.01, 0.04], [np.nan, 0.03], [0.005, np.nan]])
    expected = [[0.03, 0.06], [np.nan, 0.06], [0.02, np.nan]]
    np.testing.assert_allclose(holm(p), expected, rtol=1e-12)


def test_the_same_seed_gives_the_same_bytes(measured, tmp_path):
    written = []
    for run in ("one", "two"):
        frame = table3({"net": [measured]}, n_bootstrap=20, seed=3)
        outputs = {form: str(tmp_path / run / f"table3.{form}") for form in ("csv", "md", "tex")}
        notes = table3_notes({"net": [measured]}, "Loss.", "Start.", 20, with_paper=False)
        shown, columns = shown_table(frame)
        printed = {"shown": shown, "printable": printable_table(shown)}
        write_table(frame, columns, outputs, caption="Table 3.", notes=notes, **printed)
        written.append([Path(path).read_text(encoding="utf-8") for path in outputs.values()])
    assert written[0] == written[1]
    assert "RED CAT (n0)" in written[0][1]
    other = table3({"net": [measured]}, n_bootstrap=20, seed=4)
    assert not frame.equals(other)


def test_seeds_are_averaged_and_tested_from_five_on(measured):
    def moved(seed):
        other = measured.copy(deep=True)
        other["predicted"].values[1:, : 5 * seed] = (measured["label"].values[: 5 * seed] + 1) % N
        return other

    seeds = [moved(seed) for seed in range(5)]
    frame = table3({"net": seeds}, n_bootstrap=20, seed=0).set_index("arm")
    each = [arm_measures(one)["literal"]["acc"] for one in seeds]
    assert frame.loc["literal", "acc"] == pytest.approx(np.mean(each))
    assert frame.loc["literal", "acc_std"] == pytest.approx(np.std(each, ddof=1))
    assert 0 < frame.loc["baseline", "acc_p_seeds"] < 1
    assert np.isnan(frame.loc["literal", "aupr_p_seeds"])  # the same difference in every seed
    assert "acc_p_images" not in frame
    tests = [
        [f"{metric}_p_{kind}" for metric in ("acc", "aupr", "auroc")] for kind in ("seeds", "holm")
    ]
    np.testing.assert_array_equal(frame[tests[1]], holm(frame[tests[0]].to_numpy()))
    notes = table3_notes({"net": seeds}, "", "", 20, with_paper=False)
    assert any("up to 9 t-tests" in note and "Holm" in note for note in notes)
    shown, columns = shown_table(frame.reset_index())
    assert "±" in shown["acc_text"][0]
    assert "acc_p_seeds" in columns
    few = table3({"net": seeds[:4]}, n_bootstrap=20, seed=0)
    assert "acc_p_seeds" not in few


def test_the_papers_numbers_stand_below_its_backbones(measured):
    paper = pd.read_csv(Path(__file__).parents[3] / "reference/paper_tables.csv")
    frame = table3({"resnet18": [measured], "other": [measured]}, paper, n_bootstrap=5, seed=0)
    theirs = frame[frame["arm"] == "paper: ours"]
    assert theirs["model"].tolist() == ["resnet18"]
    assert theirs[["acc", "acc_std", "theta_alpha", "aupr"]].values.tolist() == [
        [70.12, 0.084, 0.02, 15.48]
    ]


# --- training


@pytest.fixture(scope="module")
def fine_tuned(tmp_path_factory):
    """A small network, and what fine-tuning with and without the penalty makes of it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("fine_tuned")
    bitmaps = bitmap_tensor(draw_bitmaps(load_categories(10, 0)[0]))
    data = PosedGlyphs(bitmaps, 32, 4, 32, 0)
    options = training_options(epochs=1, batch_size=32, optimizer={"lr": 0.05})

    def tuned(name, penalty):
        spec = {"architecture": "test_efficientnet"}
        network = build_network("net", spec, 10, data_config(32), seed=0)
        train(network, data, options, seed=0, work_dir=folder / name, extra_loss=penalty)
        save_checkpoint(network, str(folder / f"{name}.safetensors"))
        return network

    penalties = {
        "control": None,
        "normalised": DependencyPenalty(0, 1, 2.0, "normalised"),
        "again": DependencyPenalty(0, 1, 2.0, "normalised"),
    }
    networks = {name: tuned(name, penalty) for name, penalty in penalties.items()}
    torch.set_num_threads(threads)
    return folder, data, networks


def test_seeds_reproduce_a_penalised_training_to_the_byte(fine_tuned):
    folder, *_ = fine_tuned
    weights = {name: (folder / f"{name}.safetensors").read_bytes() for name in fine_tuned[2]}
    assert weights["normalised"] == weights["again"]
    assert weights["normalised"] != weights["control"]


def test_the_penalty_lowers_what_it_penalises(fine_tuned):
    _, data, networks = fine_tuned
    pixels = (data.validation().images[:, None].float() / 255 - 0.5) / 0.25
    with torch.inference_mode():
        logits = {name: network(pixels) for name, network in networks.items()}
    penalty = DependencyPenalty(0, 1, 1.0, "normalised")
    cosine = {name: penalty(f, None).item() for name, f in logits.items()}
    assert cosine["normalised"] < cosine["control"]
