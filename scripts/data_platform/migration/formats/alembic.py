"""Alembic: a revision for each step.

By default Alembic runs all pending revisions in one transaction, so that every lock is held until the last is done.
`autocommit_block()` commits what came before, whatever env.py says: an empty one begins a transaction of its own for a
step, and a step that is none runs inside.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import PurePosixPath

from data_platform.errors import UsageProblem
from data_platform.migration.formats.context import Context, Detected, Files, Format, Place
from data_platform.migration.formats.files import folder, with_advice
from data_platform.migration.formats.notes import about, one_line, taken_back, why_irreversible
from data_platform.migration.formats.quoting import commented, python
from data_platform.migration.formats.session import sent
from data_platform.migration.formats.tree import Tree
from data_platform.migration.formats.units import Unit, units
from data_platform.migration.plan.step import Plan
from data_platform.sql.text import Sql

_TEXT = '''\
"""{message}

Revision ID: {revision}
Revises: {previous}
"""

{about}
{imports}

revision = {quoted_revision}
down_revision = {quoted_previous}
branch_labels = None
depends_on = None


def upgrade() -> None:
{up}


def downgrade() -> None:
{down}
'''
_BOUND = re.compile(r"(?<![:\w\\]):\w|\\:")
"""What SQLAlchemy reads as a parameter in a text."""


def write(plan: Plan, context: Context) -> Files:
    """`<revision>_<name>.py`, each revising the one before."""
    files: Files = {}
    previous = context.place.previous
    cut = units(plan, context)
    for unit in cut:
        name = f"{context.name}_{unit.number}_{unit.name}"
        revision = _revision(previous, unit, name)
        files[folder(unit, context) / f"{revision}_{name}.py"] = _text(unit, context, revision, previous)
        previous = revision
    move = "If other revisions were added meanwhile, set `down_revision` of the first file moved to the newest of them."
    return with_advice(files, cut, context, "alembic upgrade head", move)


def _revision(previous: str | None, unit: Unit, name: str) -> str:
    """Made of what it is, so that the same plan has the same revisions."""
    made_of = "\0".join((previous or "", name, *unit.up, *unit.down))
    return sha256(made_of.encode()).hexdigest()[:12]


def _text(unit: Unit, context: Context, revision: str, previous: str | None) -> str:
    up = "\n".join(_run(unit, context, unit.up, []))
    down = "\n".join(_down(unit, context))
    ddl = "sa.DDL(" in up or "sa.DDL(" in down
    return _TEXT.format(
        message=f"{context.name} {unit.number}: {unit.name}",
        revision=revision,
        previous=one_line(previous or "").replace("\\", "").replace('"', ""),
        about=commented("#", about(unit, context)),
        imports="import sqlalchemy as sa\nfrom alembic import op" if ddl else "from alembic import op",
        quoted_revision=python(revision),
        quoted_previous="None" if previous is None else python(previous),
        up=up,
        down=down,
    )


def _down(unit: Unit, context: Context) -> Iterator[str]:
    if unit.irreversible:
        yield commented("    #", taken_back(unit)).rstrip("\n")
        yield f"    raise NotImplementedError({python(why_irreversible(unit))})"
    else:
        yield from _run(unit, context, unit.down, taken_back(unit))


def _run(unit: Unit, context: Context, statements: tuple[Sql, ...], lines: list[str]) -> Iterator[str]:
    if lines:
        yield commented("    #", lines).rstrip("\n")
    if not statements:
        yield "    pass"
        return
    own = unit.step.transaction
    inside = sent(statements, context.patience, transaction=own, blocks=unit.step.blocks is not None)
    yield "    with op.get_context().autocommit_block():"
    if own:
        yield "        pass  # commits what came before; what follows is a transaction of its own"
    yield from (_execute(statement, "    " if own else "        ") for statement in inside)


def _execute(statement: Sql, indent: str) -> str:
    if _BOUND.search(statement):
        return f"{indent}op.execute(sa.DDL({python(statement.replace('%', '%%'))}))"
    return f"{indent}op.execute({python(statement)})"


def find(tree: Tree) -> Detected | None:
    """alembic.ini or pyproject.toml, the directory named there, and the one revision that no other revises."""
    for ini in (*tree.named("alembic.ini"), *tree.named("pyproject.toml")):
        location = re.search(r"""(?m)^script_location[ \t]*=[ \t]*["']?(.+?)["']?[ \t]*$""", tree.text(ini))
        if location is None:
            continue
        where = re.sub(r"%\(here\)s|%%\(here\)s", ".", location[1]).removeprefix("./")
        script = PurePosixPath(ini.parent, where)
        head = _head(tree, script / "versions")
        return Detected(
            tool="alembic", place=Place(directory=script / "versions", previous=head), evidence=str(ini)
        )
    return None


def _head(tree: Tree, versions: PurePosixPath) -> str | None:
    revisions: dict[str, frozenset[str]] = {}
    for path in tree.files:
        if path.parent == versions and path.suffix == ".py":
            said = _assigned(tree.text(path))
            if said.get("revision"):
                revisions[min(said["revision"])] = said.get("down_revision", frozenset())
    heads = sorted(revisions.keys() - frozenset().union(*revisions.values()))
    if len(heads) > 1:
        raise UsageProblem(
            f"{len(heads)} heads: {', '.join(heads)}",
            where=str(versions),
            expected="one head",
            try_="`alembic merge heads`, then again",
        )
    return heads[0] if heads else None


def _assigned(source: str) -> dict[str, frozenset[str]]:
    """Strings that names at the top of a module stand for: one, a tuple of them, or none."""
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError):
        return {}
    found: dict[str, frozenset[str]] = {}
    for node in body:
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        for target in targets:
            if isinstance(target, ast.Name) and value is not None:
                strings = (part.value for part in ast.walk(value) if isinstance(part, ast.Constant))
                found[target.id] = frozenset(one for one in strings if isinstance(one, str))
    return found


FORMAT = Format(
    name="alembic",
    write=write,
    find=find,
    default=Place(directory=PurePosixPath("alembic/versions")),
    notes=(
        "A file_template in alembic.ini is not followed: Alembic finds revisions by what is in the file.",
    ),
)
