"""What the compiled code shares: its options, exact multiply-add, and sums of weighted rows."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

# No fastmath: a compiler that may reorder or fuse does so differently in the process that compiles
# and in those that load what it compiled, and the bytes would depend on the cache. What is to be
# fused says so, by `multiply_add`.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    "_nrt": False,  # nothing is allocated inside, so no reference needs counting
}

INLINE: dict[str, Any] = {**OPTIONS, "inline": "always"}

_LINE = 8  # float64 in a cache line: vectors that straddle two cost twice as much
BLOCK = 64  # values that are counted before any is looked at


def forget_stale_code(folder: Path, *called: Path) -> None:
    """Remove the folder's compiled code older than a source file of it or of the folders it calls.

    Numba compiles anew what stands in a file that changed, but not what calls it from another.

    Parameters
    ----------
    folder : Path
        Folder of modules with compiled functions.
    *called : Path
        Folders whose compiled functions they call.
    """
    sources = (source for place in (folder, *called) for source in place.glob("*.py"))
    newest = max(source.stat().st_mtime for source in sources)
    for index in folder.glob("__pycache__/*.nbi"):
        with suppress(FileNotFoundError):  # another process that starts may be quicker
            if index.stat().st_mtime < newest:
                index.unlink()


FOLDER = Path(__file__).parent
if os.access(FOLDER, os.W_OK):
    forget_stale_code(FOLDER)


def _multiply_add(typing_context, a, b, c):
    """`a * b + c`, rounded once."""
    signature = types.float64(types.float64, types.float64, types.float64)

    def generate(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return signature, generate


multiply_add: Any = intrinsic(_multiply_add)


@njit(**OPTIONS)
def subtract_rows(out, base, matrix, index, weight, count, start, stop):
    """Set out[: stop - start] = (base - sum_k weight[k] * matrix[index[k]])[start:stop]."""
    width = stop - start
    source = base[start:stop]
    for j in range(width):
        out[j] = source[j]
    k = 0
    while k + 8 <= count:
        w0, w1, w2, w3 = -weight[k], -weight[k + 1], -weight[k + 2], -weight[k + 3]
        w4, w5, w6, w7 = -weight[k + 4], -weight[k + 5], -weight[k + 6], -weight[k + 7]
        r0 = matrix[index[k], start:stop]
        r1 = matrix[index[k + 1], start:stop]
        r2 = matrix[index[k + 2], start:stop]
        r3 = matrix[index[k + 3], start:stop]
        r4 = matrix[index[k + 4], start:stop]
        r5 = matrix[index[k + 5], start:stop]
        r6 = matrix[index[k + 6], start:stop]
        r7 = matrix[index[k + 7], start:stop]
        for j in range(width):
            low = multiply_add(w1, r1[j], multiply_add(w0, r0[j], out[j]))
            low = multiply_add(w3, r3[j], multiply_add(w2, r2[j], low))
            low = multiply_add(w5, r5[j], multiply_add(w4, r4[j], low))
            out[j] = multiply_add(w7, r7[j], multiply_add(w6, r6[j], low))
        k += 8
    while k + 2 <= count:
        w0, w1 = -weight[k], -weight[k + 1]
        r0 = matrix[index[k], start:stop]
        r1 = matrix[index[k + 1], start:stop]
        for j in range(width):
            out[j] = multiply_add(w1, r1[j], multiply_add(w0, r0[j], out[j]))
        k += 2
    if k < count:
        w0 = -weight[k]
        r0 = matrix[index[k], start:stop]
        for j in range(width):
            out[j] = multiply_add(w0, r0[j], out[j])


@njit(**OPTIONS)
def subtract_rows_from_four(out, weight, matrix, index, count, start, stop):
    """Do out[q, start:stop] -= weight[q, :count] @ matrix[index[:count], start:stop], q < 4.

    `count` is a multiple of 4: sixteen products for every four numbers read.
    """
    c0, c1 = out[0, start:stop], out[1, start:stop]
    c2, c3 = out[2, start:stop], out[3, start:stop]
    for k in range(0, count, 4):
        r0 = matrix[index[k], start:stop]
        r1 = matrix[index[k + 1], start:stop]
        r2 = matrix[index[k + 2], start:stop]
        r3 = matrix[index[k + 3], start:stop]
        w00, w01, w02, w03 = -weight[0, k], -weight[0, k + 1], -weight[0, k + 2], -weight[0, k + 3]
        w10, w11, w12, w13 = -weight[1, k], -weight[1, k + 1], -weight[1, k + 2], -weight[1, k + 3]
        w20, w21, w22, w23 = -weight[2, k], -weight[2, k + 1], -weight[2, k + 2], -weight[2, k + 3]
        w30, w31, w32, w33 = -weight[3, k], -weight[3, k + 1], -weight[3, k + 2], -weight[3, k + 3]
        for j in range(stop - start):
            x0, x1, x2, x3 = r0[j], r1[j], r2[j], r3[j]
            low0 = multiply_add(w01, x1, multiply_add(w00, x0, c0[j]))
            low1 = multiply_add(w11, x1, multiply_add(w10, x0, c1[j]))
            low2 = multiply_add(w21, x1, multiply_add(w20, x0, c2[j]))
            low3 = multiply_add(w31, x1, multiply_add(w30, x0, c3[j]))
            c0[j] = multiply_add(w03, x3, multiply_add(w02, x2, low0))
            c1[j] = multiply_add(w13, x3, multiply_add(w12, x2, low1))
            c2[j] = multiply_add(w23, x3, multiply_add(w22, x2, low2))
            c3[j] = multiply_add(w33, x3, multiply_add(w32, x2, low3))


@njit(**OPTIONS)
def count_above(values, bar):
    """How many magnitudes exceed `bar`."""
    above = 0
    for j in range(values.size):
        above += 1 if abs(values[j]) > bar else 0
    return above


@njit(**OPTIONS)
def largest_above(values, bar):
    """The largest magnitude above `bar`, or `bar`. Counting first keeps the loop in registers."""
    for start in range(0, values.size, BLOCK):
        block = values[start : min(start + BLOCK, values.size)]
        if count_above(block, bar) > 0:
            for j in range(block.size):
                bar = max(bar, abs(block[j]))
    return bar


def aligned(*shape: int) -> np.ndarray:
    """Zeros whose rows start on a cache line each, `shape[-1]` rounded up to whole lines.

    An odd number of lines, so that the rows do not fall on the same few sets of the cache.

    Returns
    -------
    ndarray, float64
        Of the shape asked for, each row at the start of a cache line.
    """
    width = _LINE * (-(-shape[-1] // _LINE) | 1)
    size = int(np.prod(shape[:-1], dtype=np.int64)) * width
    buffer = np.zeros(size + _LINE)
    start = -(buffer.ctypes.data // buffer.itemsize) % _LINE
    return buffer[start : start + size].reshape(*shape[:-1], width)
