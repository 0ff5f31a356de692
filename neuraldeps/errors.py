"""What a user can fix: every such error is one line that names the file or key, the value, the fix."""

import re


class InputError(ValueError):
    r"""A configuration key, a file or an array that the user can put right.

    Parameters
    ----------
    message : str
        One line. Breaks within a name that it quotes are written as escapes.

    Examples
    --------
    >>> print(InputError("two\nlines.png does not exist"))
    two\nlines.png does not exist
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(re.sub(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", _escaped, message))


class StoreError(InputError):
    """A Zarr store that is missing, incomplete, damaged, or made from something else."""


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


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
