"""The one way from sqlglot's trees to text: what a target cannot say raises, and names and strings are quoted by it."""

from __future__ import annotations

from sqlglot import ErrorLevel, exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.generators.mysql import MySQLGenerator

from data_platform.schema.dialects.targets import Dialect


class MySqlOrMariaDb(MySQL):
    """What both understand; MariaDB has no REGEXP_LIKE."""

    class Generator(MySQLGenerator):
        """Writes the operator instead."""

        TRANSFORMS = {  # noqa: RUF012 - sqlglot's own form
            **MySQLGenerator.TRANSFORMS,
            exp.RegexpLike: lambda self, node: self.binary(node, "REGEXP"),
        }


def write(node: exp.Expr, dialect: Dialect) -> str:
    """The text of `node`. Raises sqlglot.errors.UnsupportedError."""
    reading = MySqlOrMariaDb if dialect == "mysql" else dialect
    return node.sql(dialect=reading, unsupported_level=ErrorLevel.RAISE)


def quote(value: str, dialect: Dialect) -> str:
    """`value` as a string constant."""
    return write(exp.Literal.string(value), dialect)
