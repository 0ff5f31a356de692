"""What numba compiles gives the same bytes in the process that compiles and in one that loads it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from neuraldeps.covlasso.kernels import forget_stale_code

ROOT = Path(__file__).parents[2]
CODE = """
import hashlib, numpy as np
from neuraldeps.best_subset import best_subsets
from neuraldeps.covlasso import covlasso_path, solve_covlasso
from neuraldeps.dependencies.candidates import Candidates
from neuraldeps.dependencies.scoring import evaluate
from neuraldeps.logits.store import LogitsFile
rng = np.random.default_rng(0)
logits = rng.standard_normal((500, 40)) @ rng.standard_normal((40, 60))
gram = logits.T @ logits / 500
path = covlasso_path(gram, max_support=12)
alpha = 0.05 * path.alpha_max
solution = solve_covlasso(gram, alpha=alpha)
subsets = best_subsets(gram, max_support=6)
found = [path.alpha, path.coef, path.dual_gap, solution.coef, solution.dual_gap]
found += [subsets.support, subsets.coef, subsets.squared_error]
digest = hashlib.sha256(b"".join(array.tobytes() for array in found))
candidates = Candidates.from_padded(path.targets, path.support, path.coef)
file = LogitsFile({logits!r})
sums = evaluate(file, file, candidates, np.arange(300) % 60).sums
digest.update(b"".join(array.tobytes() for array in sums))
print(digest.hexdigest())
"""


@pytest.mark.long
def test_cold_and_warm_cache_give_the_same_bytes(tmp_path):
    import numpy as np

    from tests.unit.test_moments import write_logits

    logits = write_logits(
        tmp_path / "f.zarr", np.random.default_rng(1).standard_normal((300, 60)), rows=128
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    digests = [
        subprocess.run(
            [sys.executable, "-c", CODE.format(logits=logits)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert list((tmp_path / "cache").rglob("*.nbc"))
    assert digests[0] == digests[1]


def test_code_compiled_before_a_source_file_changed_is_forgotten(tmp_path):
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    for path, age in (("a.py", 50), ("b.py", 10), ("__pycache__/old.nbi", 20)):
        (tmp_path / path).touch()
        os.utime(tmp_path / path, (1e9 - age, 1e9 - age))
    (cache / "new.nbi").touch()
    forget_stale_code(tmp_path)
    assert [path.name for path in cache.iterdir()] == ["new.nbi"]


def test_code_is_forgotten_when_what_it_calls_has_changed(tmp_path):
    caller, called = tmp_path / "caller", tmp_path / "called"
    for path, age in (("caller/a.py", 50), ("caller/__pycache__/a.nbi", 20), ("called/b.py", 10)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
        os.utime(tmp_path / path, (1e9 - age, 1e9 - age))
    forget_stale_code(caller)
    assert list(caller.glob("__pycache__/*"))
    forget_stale_code(caller, called)
    assert not list(caller.glob("__pycache__/*"))
