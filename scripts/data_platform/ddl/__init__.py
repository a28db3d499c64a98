"""A design as PostgreSQL DDL, in dependency order; the same design gives the same bytes.

statements, script, files   what others ask for
pieces                      which statements there are, kind after kind, before they are put in order
types functions tables ...  the statements of one kind
clauses                     what stands in statements of several kinds
older                       what an older server cannot say, left out
"""

from data_platform.ddl.clauses import column_clause, constraint_clause, index_sql
from data_platform.ddl.files import files, header, script
from data_platform.ddl.piece import Section, Statement
from data_platform.ddl.pieces import statements

__all__ = [
    "Section",
    "Statement",
    "column_clause",
    "constraint_clause",
    "files",
    "header",
    "index_sql",
    "script",
    "statements",
]
