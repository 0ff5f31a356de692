"""Seeds of independent draws, derived from the run's own."""

import hashlib


def seed_of(*words: str | int) -> int:
    """Seed of a stream of random numbers, from what it is for: independent for different words.

    Returns
    -------
    int
        Below 2^63.

    Examples
    --------
    >>> seed_of(0, "train", 1) == seed_of(0, "train", 1), seed_of(0, "train", 11) == seed_of(0, "train", 1)
    (True, False)
    """
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
