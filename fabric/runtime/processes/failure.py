"""Why something could not be done, as the client will read it."""

from __future__ import annotations


class Failure(Exception):
    """Refused; with `code` 126 or 127 it was the program itself that could not be started."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
