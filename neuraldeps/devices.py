"""Devices that reductions over images may use instead of NumPy: PyTorch's CPU, or a CUDA device.

PyTorch is imported only where a device is named.
"""

import contextlib
import ctypes
from collections.abc import Iterator

from neuraldeps.errors import InputError

PATTERN = r"^(cpu|cuda(:\d+)?)$"
KEY = "resources.reduction_device"


def check_device(device: str | None, needed: int = 0) -> None:
    """Refuse a device that this machine lacks, or that is too small, before any long work.

    Parameters
    ----------
    device : str or None
        ``cpu``, ``cuda`` or ``cuda:N``; None is NumPy, which every machine has.
    needed : int
        Bytes that will be held on a CUDA device at once.

    Raises
    ------
    InputError
        One line with the key, its value, what is there and a fix.

    Examples
    --------
    >>> check_device(None)
    """
    if device is None:
        return
    about = f"{KEY} is {device}"
    try:
        import torch
    except ImportError as error:
        raise InputError(
            f"{about}, but PyTorch cannot be imported ({error}); install it, or set null to use NumPy"
        ) from error
    if device == "cpu":
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(device.removeprefix("cuda").removeprefix(":") or 0)
    if number >= count:
        known = ["cuda" if one == 0 else f"cuda:{one}" for one in range(count)]
        raise InputError(
            f"{about}: this machine has {count} CUDA device{'s' * (count != 1)}; "
            f"use {', '.join([*known, 'cpu'])}, or null for NumPy"
        )
    free = torch.cuda.mem_get_info(device)[0]
    if needed > free:
        raise InputError(
            f"{about}: it has {free / 1e9:.1f} GB free and {needed / 1e9:.1f} GB are needed; "
            "use a larger one, or null for NumPy"
        )


@contextlib.contextmanager
def one_torch_thread(device: str | None) -> Iterator[None]:
    """Hold PyTorch's CPU operations to one thread: sums must not depend on the number of cores.

    Parameters
    ----------
    device : str or None
        Nothing is done for None; PyTorch is not even imported.

    Yields
    ------
    None
        The number of threads from before is restored in the end.
    """
    if device is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Have the C library keep memory that was freed, for whatever asks next, until the process ends.

    A network on a CPU asks for the activations of each layer and frees them, in pieces that the GNU C
    library by default gives back to the kernel, which then clears every page anew: a fifth to a
    third of a ResNet's time. The most memory that is used at once stays the same but for what is
    lost between pieces. Other C libraries are left as they are.

    References
    ----------
    mallopt(3): M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for option in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
            mallopt(option, 1 << 30)
