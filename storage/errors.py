"""Everything ``storage`` may raise.

* :exc:`StorageError`        -- base; the message names the database, never its content
    * :exc:`StorageUnavailable` -- the database cannot be opened, or is of a newer version
    * :exc:`WriteRefused`       -- the write queue is full, or the writer has stopped
    * :exc:`WriteFailed`        -- the database refused a write
    * :exc:`DuplicateKey`       -- a row with this key is there already
"""


class StorageError(Exception):
    """Base of every error of the storage."""


class StorageUnavailable(StorageError):
    """The database cannot be opened or migrated; the message says what to do."""


class WriteRefused(StorageError):
    """The write queue is full or closed; nothing was written."""


class WriteFailed(StorageError):
    """The database refused a write; the transaction was rolled back."""


class DuplicateKey(StorageError):
    """A row with this key is there already."""
