"""Settings of ``[destination.login]``: how we log in at a server, by a token or by name and password.

The secret itself is in a file that only the service's user may read, or in an environment variable; never in the
configuration. It is read whenever a connection is opened, so that it may be renewed without a restart.
"""

import os
import stat
from base64 import b64encode
from typing import Self

from pydantic import model_validator

from pipeline.edge.configuration.section import ConfigPath, Name, Section
from pipeline.errors import DxatrendError


class LoginError(DxatrendError):
    """A secret cannot be read; the text says which setting, and why."""


class LoginSettings(Section):
    """``[destination.login]``: a bearer token, or a user with a password, each from a file or from the environment."""

    token_file: ConfigPath | None = None
    token_variable: Name | None = None
    user: Name | None = None
    password_file: ConfigPath | None = None
    password_variable: Name | None = None

    @model_validator(mode="after")
    def _is_one_login(self) -> Self:
        tokens = [self.token_file, self.token_variable]
        passwords = [self.password_file, self.password_variable]
        if sum(secret is not None for secret in (*tokens, *passwords)) != 1:
            raise ValueError("one of token_file, token_variable, password_file and password_variable, and no other")
        if (self.user is not None) != any(secret is not None for secret in passwords):
            raise ValueError("user and password belong together")
        if self.user is not None and ":" in self.user:
            raise ValueError("user: a name with a colon cannot log in (RFC 7617)")
        return self

    def headers(self) -> dict[str, str]:
        """Return the header that logs us in.

        Raises:
            LoginError: the secret cannot be read.
        """
        if self.user is None:
            return {"Authorization": f"Bearer {self._secret('token', self.token_file, self.token_variable)}"}
        password = self._secret("password", self.password_file, self.password_variable)
        pair = b64encode(f"{self.user}:{password}".encode()).decode("ascii")
        return {"Authorization": f"Basic {pair}"}

    @staticmethod
    def _secret(kind: str, file: ConfigPath | None, variable: str | None) -> str:
        if file is None:
            assert variable is not None, "one of the two is set"
            if not (found := os.environ.get(variable, "").strip()):
                raise LoginError(f"login.{kind}_variable: {variable} is not set")
        else:
            try:
                if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise LoginError(
                        f"login.{kind}_file: others than its owner can read it; chmod 600 keeps it private"
                    )
                found = file.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise LoginError(f"login.{kind}_file: {type(error).__name__}") from None
        if not found.isprintable() or not found:
            raise LoginError(f"login.{kind}: it is empty, or has a character that cannot be seen")
        if kind == "token" and not found.isascii():
            raise LoginError("login.token: a token has no letter beyond ASCII (RFC 6750)")
        return found
