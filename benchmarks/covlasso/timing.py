"""Process CPU time of several functions, the rounds going through all of them in turn."""

import time

import numpy as np


def cpu_time(function):
    start = time.process_time()
    function()
    return time.process_time() - start


def alternate(functions, rounds):
    """Median CPU seconds of each function, the rounds going through all of them in turn."""
    for function in functions.values():
        function()
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(cpu_time(function))
    return {name: float(np.median(values)) for name, values in times.items()}
