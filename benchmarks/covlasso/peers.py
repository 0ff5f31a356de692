"""Public solvers behind one call: `peer(target, alpha, tolerance) -> coefficients`.

Those that follow a grid of penalties also have `peer_path(target, alphas, tolerance)`, one row of
coefficients for each penalty.

Each gets the layout it likes best: the Gram, or the smallest design with that Gram. The own
category is left out in place, which costs each of them less than building a smaller problem.
"""

import numpy as np


class Peers:
    """Solvers over one data set; `design` is (rank, n) with `design.T @ design = gram`."""

    def __init__(self, gram, design):
        self.gram = np.ascontiguousarray(gram)
        self.scratch = self.gram.copy()
        self.design = np.asfortranarray(design)
        self.n = len(gram)
        self.weights = None
        self.cached = {}

    def _without(self, target):
        """Zero the target's row and column of the scratch Gram; what to put back."""
        row = self.scratch[target].copy()
        self.scratch[target] = 0
        self.scratch[:, target] = 0
        cross = row.copy()
        cross[target] = 0
        return row, cross

    def _restore(self, target, row):
        self.scratch[target] = row
        self.scratch[:, target] = row

    def sklearn_gram_kernel(self, target, alpha, tolerance):
        """scikit-learn's private coordinate descent on a Gram, without any checks around it."""
        from sklearn.linear_model import _cd_fast

        row, cross = self._without(target)
        coef = np.zeros(self.n)
        norm = np.array([np.sqrt(row[target])])
        generator = np.random.RandomState(0)
        _cd_fast.enet_coordinate_descent_gram(
            coef, alpha, 0.0, self.scratch, cross, norm, 50_000, tolerance, generator, False, False
        )
        self._restore(target, row)
        return coef

    def sklearn_lasso(self, target, alpha, tolerance):
        """scikit-learn's public Lasso with a precomputed Gram."""
        from sklearn.linear_model import Lasso

        row, _ = self._without(target)
        column = self.design[:, target].copy()
        self.design[:, target] = 0
        model = Lasso(
            alpha=alpha / len(self.design),
            fit_intercept=False,
            max_iter=50_000,
            tol=tolerance,
            precompute=self.scratch,
        ).fit(self.design, column)
        self.design[:, target] = column
        self._restore(target, row)
        return model.coef_

    def sklearn_lars(self, target, alpha, tolerance):
        """scikit-learn's exact path from a Gram, down to `alpha`."""
        return self.lars_path(target, alpha_min=alpha)

    def lars_path(self, target, *, alpha_min=0.0, max_iter=2000):
        """scikit-learn's exact path, to a penalty or a number of steps."""
        from sklearn.linear_model import lars_path_gram

        row, cross = self._without(target)
        coef = lars_path_gram(
            cross,
            self.scratch,
            n_samples=1,
            alpha_min=alpha_min,
            max_iter=max_iter,
            method="lasso",
            return_path=alpha_min == 0,
        )[2]
        self._restore(target, row)
        return coef

    def celer(self, target, alpha, tolerance):
        """Celer's path of one penalty, on the design."""
        from celer import celer_path

        column = self.design[:, target].copy()
        self.design[:, target] = 0
        scaled = np.array([alpha / len(self.design)])
        coef = celer_path(
            self.design, column, "lasso", alphas=scaled, tol=tolerance, max_iter=100, prune=1
        )[1]
        self.design[:, target] = column
        return coef[:, -1].copy()

    def skglm(self, target, alpha, tolerance):
        """Solve by skglm's Anderson-accelerated working sets, on the design."""
        from skglm.datafits import Quadratic
        from skglm.penalties import L1
        from skglm.solvers import AndersonCD
        from skglm.utils.jit_compilation import compiled_clone

        rank = len(self.design)
        if "datafit" not in self.cached:
            self.cached["datafit"] = compiled_clone(Quadratic())
        if alpha not in self.cached:
            self.cached[alpha] = compiled_clone(L1(alpha / rank))
        column = self.design[:, target].copy()
        self.design[:, target] = 0
        self.cached["datafit"].initialize(self.design, column)
        solver = AndersonCD(
            max_iter=100, max_epochs=50_000, tol=tolerance / rank, fit_intercept=False
        )
        coef = solver.solve(self.design, column, self.cached["datafit"], self.cached[alpha])[0]
        self.design[:, target] = column
        return coef[: self.n].copy()

    def adelie(self, target, alpha, tolerance):
        """Solve by adelie's covariance method, on the Gram."""
        import adelie

        if "adelie" not in self.cached:
            gram = np.asfortranarray(self.gram)
            self.cached["adelie"] = adelie.matrix.dense(gram, method="cov", n_threads=1)
        cross = self.gram[target].copy()
        cross[target] = 0
        penalty = np.ones(self.n)
        penalty[target] = 1e9
        state = adelie.solver.gaussian_cov(
            self.cached["adelie"],
            cross,
            penalty=penalty,
            lmda_path=np.array([alpha]),
            tol=tolerance,
            early_exit=False,
            progress_bar=False,
            n_threads=1,
            rdev_tol=0,
        )
        return np.asarray(state.betas.todense()).ravel()

    def glmnet(self, target, alpha, tolerance):
        """Solve at one penalty by glmnet, updating residuals: what is faster there."""
        return self._glmnet(target, np.array([alpha]), tolerance, by_covariance=False)[0]

    def glmnet_path(self, target, alphas, tolerance):
        """Solve at every penalty by glmnet, updating correlations: what is faster there."""
        return self._glmnet(target, alphas, tolerance, by_covariance=True)

    def _glmnet(self, target, alphas, tolerance, *, by_covariance):
        """Call glmnet's Fortran, as python-glmnet compiles it, without the checks around it."""
        from glmnet import _glmnet

        rank, n = self.design.shape
        given = (self.design.copy(order="F"), self.design[:, target].copy(), np.ones(rank))
        left_out = np.array([1, target + 1], np.int32)
        bounds = np.full((2, n), [[-1e35], [1e35]])
        n_fitted, _, values, entered, n_used, *_ = _glmnet.elnet(
            1 if by_covariance else 2,
            1.0,  # all of the penalty is L1
            *given,
            left_out,
            np.ones(n),
            bounds,
            n,
            2.0,  # the penalties are given
            alphas / rank,
            tolerance,
            isd=0,
            intr=0,
            maxit=10_000_000,
        )
        coef = np.zeros((len(alphas), n))
        for q in range(n_fitted):
            coef[q, entered[: n_used[q]] - 1] = values[: n_used[q], q]
        return coef

    def pycasso(self, target, alpha, tolerance):
        """Solve at one penalty by PICASSO, updating residuals: what is faster there."""
        return self._pycasso(target, np.array([alpha]), tolerance, "naive")[0]

    def pycasso_path(self, target, alphas, tolerance):
        """Solve at every penalty by PICASSO, updating correlations: what is faster there."""
        return self._pycasso(target, alphas, tolerance, "covariance")

    def _pycasso(self, target, alphas, tolerance, updates):
        """PICASSO's active-set coordinate descent, on the design."""
        from pycasso import Solver

        column = self.design[:, target].copy()
        self.design[:, target] = 0
        solver = Solver(
            self.design,
            column,
            lambdas=alphas / len(self.design),
            useintercept=False,
            standardize=False,
            type_gaussian=updates,
            prec=tolerance,
            max_ite=1_000_000,
        )
        solver.train()
        self.design[:, target] = column
        return solver.result["beta"]

    def spams_all(self, *, alpha=1e-9, max_support=None):
        """SPAMS' homotopy for every target at once; it forms its own Gram, which is counted."""
        import spams

        if self.weights is None:
            self.weights = np.ones((self.n, self.n), order="F")
            np.fill_diagonal(self.weights, 1e9)
        limit = {} if max_support is None else {"L": max_support}
        return spams.lassoWeighted(
            self.design,
            D=self.design,
            W=self.weights,
            lambda1=alpha,
            mode=2,
            numThreads=1,
            **limit,
        )


ONE_BY_ONE = {
    "sklearn_gram_kernel": 10.0 ** -np.arange(5, 15),
    "sklearn_lasso": 10.0 ** -np.arange(5, 15),
    "sklearn_lars": [0.0],
    "celer": 10.0 ** -np.arange(5, 16),
    "skglm": 10.0 ** -np.arange(4, 15),
    "adelie": 10.0 ** -np.arange(12, 31, 2),
    "glmnet": 10.0 ** -np.arange(16, 27),
    "pycasso": 10.0 ** -np.arange(16, 27),
}
ON_A_GRID = {
    "glmnet_path": 10.0 ** -np.arange(16, 27),
    "pycasso_path": 10.0 ** -np.arange(16, 27),
}
