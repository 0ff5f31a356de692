"""The solver file for benchopt's Lasso path benchmark, run as benchopt runs it."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import lasso_path

FILE = Path(__file__).parents[2] / "benchmarks" / "covlasso" / "benchopt" / "covlasso.py"


class BaseSolver:
    """What the solver calls of benchopt's own, which the project does not depend on."""

    def run_once(self, stop_val=1):
        self.run(stop_val)


@pytest.fixture
def solver(monkeypatch):
    monkeypatch.setitem(sys.modules, "benchopt", SimpleNamespace(BaseSolver=BaseSolver))
    spec = importlib.util.spec_from_file_location("covlasso_of_benchopt", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Solver()


def problem(n_samples=200, n_features=30):
    generator = np.random.default_rng(0)
    X = generator.normal(1.0, 1.0, (n_samples, n_features))
    y = X[:, :5] @ generator.normal(size=5) + generator.normal(3.0, 0.5, n_samples)
    return X, y


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_path_is_scikit_learns(solver, fit_intercept):
    X, y = problem()
    centred = X - fit_intercept * X.mean(axis=0), y - fit_intercept * y.mean()
    alpha_max = np.abs(centred[0].T @ centred[1]).max() / len(y)
    alphas = alpha_max * np.geomspace(1, 1e-3, 40)
    assert solver.skip(X, y, alphas * len(y), fit_intercept) == (False, None)
    solver.set_objective(X, y, alphas * len(y), fit_intercept)
    solver.warm_up()
    solver.run(1)
    found = solver.get_result()["coefs"]
    _, expected, _ = lasso_path(*centred, alphas=alphas, tol=1e-14, max_iter=100_000)
    if fit_intercept:
        expected = np.vstack([expected, y.mean() - X.mean(axis=0) @ expected])
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_duplicate_features_are_solved(solver):
    X, y = problem()
    X = np.hstack([X, X[:, :3]])
    lambdas = np.abs(X.T @ y).max() * np.geomspace(1, 1e-3, 20)
    solver.set_objective(X, y, lambdas, False)
    solver.run(1)
    found = solver.get_result()["coefs"]
    _, expected, _ = lasso_path(X, y, alphas=lambdas / len(y), tol=1e-14, max_iter=100_000)
    np.testing.assert_allclose(X @ found, X @ expected, atol=1e-6)


def test_wide_designs_are_skipped(solver):
    skipped, reason = solver.skip(np.zeros((3, 4)), np.zeros(3), np.ones(1), False)
    assert skipped
    assert "Gram" in reason
