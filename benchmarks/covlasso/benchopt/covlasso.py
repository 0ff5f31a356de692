"""CovLasso as a solver of benchopt's Lasso path benchmark: its `solvers/covlasso.py`.

The path is followed on second moments. Forming them costs `n_samples * n_features^2 / 2`
multiply-adds, once for every response over the same design; after that no sample is read again. So
it pays where there are many more samples than features, or where the Gram is at hand. With more
features than samples the Gram is larger than the design, and the solver asks to be skipped.
"""

import numpy as np
import scipy.sparse
from benchopt import BaseSolver

from neuraldeps.covlasso import covlasso_path, solve_covlasso


class Solver(BaseSolver):
    """The exact path, the duality gap of every answer certified."""

    name = "CovLasso"
    sampling_strategy = "run_once"  # exact: there is no tolerance to loosen
    support_sparse = False

    install_cmd = "conda"
    requirements = ("pip::neuraldeps",)
    references = (
        'M. R. Osborne, B. Presnell, B. A. Turlach, "A new approach to variable selection in '
        'least squares problems", IMA J. Numer. Anal., vol. 20, pp. 389-403 (2000)',
    )

    def skip(self, X, y, lambdas, fit_intercept):
        """Leave out designs whose Gram is not worth forming."""
        if scipy.sparse.issparse(X):
            return True, f"{self.name} handles dense designs"
        if X.shape[1] > X.shape[0]:
            return True, f"{self.name} forms the Gram: for no more features than samples"
        return False, None

    def set_objective(self, X, y, lambdas, fit_intercept):
        """Keep the problem, centred where there is an intercept."""
        self.fit_intercept = fit_intercept
        self.x_mean = X.mean(axis=0) if fit_intercept else np.zeros(X.shape[1])
        self.y_mean = y.mean() if fit_intercept else 0.0
        self.X, self.y = X - self.x_mean, y - self.y_mean
        self.alphas = np.asarray(lambdas) / len(y)

    def warm_up(self):
        """Compile, or load what is compiled."""
        self.run_once()

    def run(self, _):
        """Form the moments, follow the path, and read it off at the penalties."""
        n_samples, n_features = self.X.shape
        moments = (
            self.X.T @ self.X / n_samples,
            (self.X.T @ self.y / n_samples)[:, np.newaxis],
            np.array([self.y @ self.y / n_samples]),
        )
        given = {"exclude_own": False, "validate": False}
        path = covlasso_path(*moments, max_support=n_features, alpha_min=self.alphas.min(), **given)
        self.coefs = np.zeros((n_features + self.fit_intercept, len(self.alphas)))
        for q, alpha in enumerate(self.alphas):
            try:
                solution = path.at_alpha(alpha)
            except ValueError:  # not certified between two knots, or below the last one
                solution = solve_covlasso(*moments, alpha=alpha, **given)
            self.coefs[solution.support[0], q] = solution.coef[0]
        if self.fit_intercept:
            self.coefs[-1] = self.y_mean - self.x_mean @ self.coefs[:-1]

    def get_result(self):
        """Coefficients, one column for each penalty, the intercepts last."""
        return {"coefs": self.coefs}
