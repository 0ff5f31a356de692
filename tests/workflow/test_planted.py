"""Dependencies planted in imported logits are found, with their coefficients."""

import numpy as np
import pytest
import xarray as xr

from tests.workflow.conftest import HERE, snakemake

# target category of g: {source category of f: coefficient}
PLANTED = {0: {3: 0.8, 7: -0.5}, 5: {1: 0.6, 2: 0.3, 9: 0.4}}
N = 12


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    (folder / "logits").mkdir()
    for split, samples in (("fit", 4000), ("test", 1000)):
        rng = np.random.default_rng(samples)
        label = rng.integers(0, N, samples)
        f = rng.standard_normal((samples, N)) + 3 * np.eye(N)[label]
        g = rng.standard_normal((samples, N)) + 3 * np.eye(N)[label]
        for target, weights in PLANTED.items():
            g[:, target] = sum(w * f[:, source] for source, w in weights.items())
        store = xr.Dataset({"logits": (("sample", "category"), f.astype(np.float32))})
        store.to_zarr(folder / f"logits/f_{split}.zarr", consolidated=False)
        np.save(folder / f"logits/g_{split}.npy", g.astype(np.float32))
        np.save(folder / f"logits/label_{split}.npy", label)
    run = snakemake(folder, HERE / "planted.yaml")
    assert run.returncode == 0, run.stdout
    return folder / "results"


@pytest.mark.parametrize("target", PLANTED)
def test_support_and_coefficients(results, target):
    evaluation = xr.open_zarr(results / "dependencies/evaluation/f--g.zarr").load()
    weights = PLANTED[target]
    at = evaluation.sel(target_category=target, support_size=len(weights))
    for estimator in ("refit", "subset"):
        found = at.sel(estimator=estimator)
        coef = dict(zip(found["support"].values.tolist(), found["coef"].values, strict=True))
        assert {source for source in coef if source >= 0} == set(weights)
        for source, weight in weights.items():
            # float32 logits carry the planted combination to about 1e-7
            assert coef[source] == pytest.approx(weight, abs=1e-6)
    refit = at.sel(estimator="refit", split="test")
    assert float(refit["relative_error_positive"]) < 1e-5
    assert float(refit["positive_accuracy"]) == float(
        at["original_positive_accuracy"].sel(split="test")
    )


def test_lasso_shrinks_by_what_theory_says(results):
    solved = xr.open_zarr(results / "dependencies/covlasso/f--g.zarr").load().sel(target_category=0)
    moment = xr.open_zarr(results / "moments/f--f.zarr")["second_moment"].values
    support = solved["support_at_penalty"].values[0]
    coef = solved["coef_at_penalty"].values[0]
    order = np.argsort(support[:2])
    support, coef = support[:2][order], coef[:2][order]
    assert support.tolist() == [3, 7]
    gram = moment[np.ix_(support, support)]
    # stationarity on the support: M (w_planted - w) = alpha sign(w)
    slack = gram @ (np.array([0.8, -0.5]) - coef)
    np.testing.assert_allclose(slack, 0.01 * np.sign(coef), atol=1e-6)
