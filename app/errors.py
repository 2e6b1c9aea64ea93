"""What stops the program at its start, in one sentence with the remedy.

* :exc:`StartError`
"""


class StartError(Exception):
    """Something is missing or taken; the text says what, and what to do about it."""
