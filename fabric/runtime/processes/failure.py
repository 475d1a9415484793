"""The runtime's refusal, as the client will read it."""

from __future__ import annotations


class Failure(Exception):
    """The runtime refuses a request; `code` 126 or 127 says that the program could not be started."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
