"""CREATE EXTENSION for a file: the server's own where that keeps to the database, else an honest stub.

A stub is a control file and a script in a directory that the embedded server looks into (extension_control_path). What
it makes belongs to the extension, so that the catalog shows CREATE EXTENSION and nothing else. Its functions have the
real ones' signatures and are right or raise an error; of extensions that are not known here it has nothing at all.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from data_platform.postgres.extensions import STUB
from data_platform.sql.text import Sql, identifier, literal

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_]|-(?!-|\Z)){0,62}\Z")
"""A file's name too, so less than PostgreSQL allows."""

_LANGUAGES = frozenset(
    {
        *("plperl", "plperlu", "plpython3u", "plpython2u", "plpythonu", "pltcl", "pltclu"),
        *(
            "plv8",
            "plcoffee",
            "plls",
            "plr",
            "pljava",
            "pljavau",
            "pllua",
            "plluau",
            "plsh",
            "plrust",
            "pljs",
        ),
    }
)
_VERSION = re.compile(r"-- version: ([0-9.]+)\n")


@dataclass(frozen=True)
class Stub:
    """The files of a stub extension; `empty` when it has none of its objects."""

    name: str
    version: str
    script: str
    empty: bool

    def write(self, directory: Path) -> None:
        """Put its files where the server looks for them; the same stub gives the same files."""
        control = (
            f"comment = {literal(STUB)}\ndefault_version = {literal(self.version)}\n"
            "relocatable = true\nsuperuser = true\n"
        )
        self._put(directory / f"{self.name}--{self.version}.sql", self.script)
        self._put(directory / f"{self.name}.control", control)

    def _put(self, path: Path, text: str) -> None:
        """Whole or not at all: another load's server may be reading the directory."""
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        aside.write_text(text, encoding="utf-8")
        aside.chmod(0o644)
        aside.replace(path)


def stub_for(name: str) -> Stub | None:
    """The stub of an extension; None for a name that is none."""
    if not _NAME.match(name):
        return None
    shipped = files(__package__).joinpath("stubs", f"{name}.sql")
    if shipped.is_file():
        script = shipped.read_text(encoding="utf-8")
        version = _VERSION.match(script)
        return Stub(name, version[1] if version else "1.0", script, empty=False)
    script = _language(name) if name in _LANGUAGES else _wrapper(name) if name.endswith("_fdw") else ""
    return Stub(name, "1.0", script or "-- This stub has no objects.\n", empty=not script)


def _language(name: str) -> str:
    """A language whose functions can be made, and raise an error when they are called.

    The handler is a built-in function that only says that it cannot do that.
    """
    handler = identifier(f"{name}_call_handler")
    return (
        f"CREATE FUNCTION {handler}() RETURNS pg_catalog.language_handler LANGUAGE internal AS 'language_handler_in';\n"
        f"CREATE TRUSTED LANGUAGE {identifier(name)} HANDLER {handler};\n"
    )


def _wrapper(name: str) -> str:
    return Sql(f"CREATE FOREIGN DATA WRAPPER {identifier(name)} NO HANDLER NO VALIDATOR;\n")
