"""Which extensions a spec may ask for: those that keep untrusted SQL inside its database.

PostgreSQL makes many extensions with the rights of a superuser and then lets everybody call their functions. One that
reaches files, the network or another language (file_fdw, dblink, postgres_fdw, plpython3u) would be the way out that
the scratch owner's missing privileges close. So it is a list of what may, not of what may not.
"""

from __future__ import annotations

from collections.abc import Iterable

from data_platform.errors import EnvironmentProblem

PROVABLE_EXTENSIONS = frozenset(
    {
        # types and their operators
        *("citext", "cube", "earthdistance", "hstore", "intarray", "isn", "lo", "ltree", "seg", "vector"),
        *("postgis", "postgis_topology"),  # but not postgis_raster: it reads files
        # indexes and search
        *(
            "bloom",
            "btree_gin",
            "btree_gist",
            "dict_int",
            "dict_xsyn",
            "fuzzystrmatch",
            "pg_trgm",
            "unaccent",
        ),
        # functions
        *("pgcrypto", "tablefunc", "tcn", "tsm_system_rows", "tsm_system_time", "uuid-ossp"),
        # looking at the server
        *("amcheck", "pg_stat_statements", "pgstattuple"),
    }
)


STUB = "a stub made for a file of SQL: the extension itself is not on this server"
"""The comment by which a stub is told from an extension."""


def require_provable(extensions: Iterable[str]) -> None:
    """Raise EnvironmentProblem when one of them is not in `PROVABLE_EXTENSIONS`."""
    for extension in extensions:
        if extension not in PROVABLE_EXTENSIONS:
            raise EnvironmentProblem(
                f"the extension {extension} is not created for a spec: it can leave the database,"
                " or nobody has made sure that it cannot",
                expected=", ".join(sorted(PROVABLE_EXTENSIONS)),
            )
