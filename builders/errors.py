"""The one error that a user of the kit is meant to read."""

from builders.masking import masked_text


class KitError(Exception):
    """Something the user can put right. The message is one line: what is wrong, where, and what to do.

    Commands print it on standard error and exit with code 2; see `builders.cli.run`. Credentials in it are masked.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__(masked_text(str(message)))
