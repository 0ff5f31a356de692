"""What a user can fix: every such error is one line that names the file or key, the value, the fix."""


class InputError(ValueError):
    """A configuration key, a file or an array that the user can put right."""


class StoreError(InputError):
    """A Zarr store that is missing, incomplete, damaged, or made from something else."""


def first_line(error: BaseException) -> str:
    r"""First line of an error's message, or the error's type where it has no message.

    Parameters
    ----------
    error : BaseException
        Whoever raised it.

    Returns
    -------
    str
        Never empty.

    Examples
    --------
    >>> first_line(ValueError("cut short\n  at byte 3")), first_line(EOFError())
    ('cut short', 'EOFError')
    """
    message = str(error).strip()
    return message.splitlines()[0] if message else type(error).__name__
