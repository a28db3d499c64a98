"""SQL files run on a server, each as it wants to be: in one transaction, or statement by statement."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import postgast
import psycopg

from data_platform.errors import UsageProblem
from data_platform.postgres.vectors.sessions import problem_of


class File(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def sql(self) -> str: ...
    @property
    def transaction(self) -> bool: ...


def apply(connection: psycopg.Connection[Any], files: Iterable[File]) -> None:
    """Run them in order on a session in autocommit. UsageProblem with the file and the server's message;
    EnvironmentProblem where it is not for the file: no room, no connection any more, stopped.
    """
    for file in files:
        try:
            if file.transaction:
                with connection.transaction():
                    connection.execute(file.sql.encode())
            else:
                for statement in postgast.split(file.sql):
                    connection.execute(statement.encode())
        except psycopg.OperationalError as error:
            raise problem_of(error, file.name) from error
        except psycopg.Error as error:
            said = error.diag.message_primary or str(error).strip()
            raise UsageProblem(f"the server refuses it: {said}", where=file.name) from error
