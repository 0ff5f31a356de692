"""How the fuzzers of the solvers are run: problems of consecutive seeds for a time, from the command line."""

import argparse
import time


def seeds_until(seconds, first_seed):
    """Consecutive seeds until the time is over."""
    end = time.monotonic() + seconds
    seed = first_seed
    while time.monotonic() < end:
        yield seed
        seed += 1


def run(fuzz, describe):
    """Run a fuzzer as the command line says; exit with 1 if anything failed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    options = parser.parse_args()
    tally = fuzz(options.seconds, options.seed)
    for failure in tally.failures[:50]:
        print(*failure)
    print(f"{describe(tally)}, {len(tally.failures)} failures")
    raise SystemExit(bool(tally.failures))
