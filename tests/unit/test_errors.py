"""Errors of others, quoted in one line."""

import zipfile

import pytest

from neuraldeps.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("cut short\n  at byte 3"), "cut short"),
        (OSError("\n  no such file\n"), "no such file"),
        (EOFError(), "EOFError"),
        (zipfile.BadZipFile(" \n"), "BadZipFile"),
    ],
)
def test_any_message_gives_a_line(error, line):
    assert first_line(error) == line
