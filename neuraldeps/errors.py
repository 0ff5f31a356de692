"""What a user can mend: every such error is one line that names the file or key, the value, the mend."""


class InputError(ValueError):
    """A configuration key, a file or an array that the user can put right."""


class StoreError(InputError):
    """A Zarr store that is missing, incomplete, damaged, or made from something else."""
