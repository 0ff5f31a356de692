"""The estimator: scikit-learn's conventions, both kinds of problem, and the runnable examples."""

import subprocess
import sys

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Lasso
from sklearn.utils.estimator_checks import check_estimator

from neuraldeps.covlasso import CovLasso


@pytest.fixture(scope="module")
def logits():
    generator = np.random.default_rng(3)
    return generator.standard_normal((300, 5)) @ generator.standard_normal(
        (5, 9)
    ) + generator.standard_normal((300, 9))


def test_within_is_lasso_on_the_other_categories(logits):
    model = CovLasso(alpha=0.2).fit(logits)
    assert model.coef_.shape == (9, 9)
    assert not model.coef_.diagonal().any()
    oracle = Lasso(alpha=0.2, fit_intercept=False, tol=1e-12).fit(logits[:, 1:], logits[:, 0])
    np.testing.assert_allclose(model.coef_.toarray()[0, 1:], oracle.coef_, atol=1e-9)
    np.testing.assert_allclose(model.predict(logits)[:, 0], oracle.predict(logits[:, 1:]))


@pytest.mark.parametrize("exclude_own", [True, False])
def test_between_is_lasso_on_the_sources(logits, exclude_own):
    others = logits @ np.random.default_rng(4).standard_normal((9, 12))
    model = CovLasso(alpha=0.5, exclude_own=exclude_own).fit(logits, others)
    assert model.coef_.shape == (12, 9)
    for target in (2, 11):
        inputs = logits.copy()
        if exclude_own and target < 9:
            inputs[:, target] = 0.0
        oracle = Lasso(alpha=0.5, fit_intercept=False, tol=1e-12, max_iter=100_000)
        oracle.fit(inputs, others[:, target])
        np.testing.assert_allclose(model.coef_.toarray()[target], oracle.coef_, atol=1e-8)


def test_one_target_says_which_source_is_its_own(logits):
    for one in (logits[:, 3], logits[:, 3:4]):
        with pytest.raises(ValueError, match=r"leave out source 0; name .* exclude_own=\[i\]"):
            CovLasso(alpha=0.1).fit(logits, one)
    with pytest.raises(ValueError, match="leave out source 0"):
        CovLasso(alpha=0.1).fit_moments(logits.T @ logits, logits.T @ logits[:, 3:4], np.ones(1))
    free = CovLasso(alpha=0.01, exclude_own=[-1]).fit(logits, logits[:, 3]).coef_.toarray()[0]
    assert free.argmax() == 3
    own = CovLasso(alpha=0.01, exclude_own=[3]).fit(logits, logits[:, 3]).coef_.toarray()[0]
    within = CovLasso(alpha=0.01).fit(logits).coef_.toarray()[3]
    np.testing.assert_allclose(own, within, atol=1e-12)


def test_moments_give_what_logits_give(logits):
    others = logits[:, :4] ** 2
    cross = np.asfortranarray(logits.T @ others / 300)
    from_moments = CovLasso(alpha=0.1).fit_moments(
        logits.T @ logits / 300, cross, (others**2).mean(axis=0)
    )
    from_logits = CovLasso(alpha=0.1).fit(logits, others)
    np.testing.assert_allclose(
        from_moments.coef_.toarray(), from_logits.coef_.toarray(), atol=1e-12
    )
    assert from_moments.n_features_in_ == 9


def test_support_size_replaces_alpha(logits):
    model = CovLasso(support_size=3).fit(logits)
    assert (model.support_size_ <= 3).all()
    assert model.support_size_.max() == 3
    assert (model.dual_gap_ <= 1e-12 * (logits**2).mean(axis=0)).all()


def test_conventions(logits):
    model = CovLasso(alpha=0.3, n_threads=2)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        model.predict(logits)
    assert model.fit(logits) is model
    assert model.n_features_in_ == 9
    with pytest.raises(ValueError, match="features"):
        model.predict(logits[:, :5])
    assert 0 < model.score(logits) < 1
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((4, 3), np.nan))


def test_scikit_learns_own_checks():
    # its targets are one column, which is nobody's own category; the check for other array
    # libraries only runs where SciPy was told of them before it was imported
    checked = check_estimator(CovLasso(exclude_own=False), on_skip=None)
    skipped = {check["check_name"] for check in checked if check["status"] != "passed"}
    assert skipped <= {"check_array_api_input"}
    assert len(checked) > 40


def test_import_leaves_torch_and_sklearn_alone():
    code = (
        "import sys, neuraldeps.covlasso; "
        "assert not {'torch', 'sklearn'} & set(sys.modules), 'heavy import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
