"""What changes of a domain whose base type stays."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.ddl.clauses import constraint_clause, constraint_needs, optional_needs
from data_platform.migration.plan.pair import Pair, changes
from data_platform.migration.plan.step import Step
from data_platform.migration.plan.text import slug
from data_platform.migration.plan.uses import columns_of_type
from data_platform.model.database import Check, Domain
from data_platform.sql.naming import default_name
from data_platform.sql.phrases import default
from data_platform.sql.text import Sql, identifier, qualified_name

VALIDATED_ONLINE_SINCE = 18
NAMED_NOT_NULLS_SINCE = 17


def steps(pair: Pair, old: Domain, new: Domain) -> Iterator[Step]:
    """Default, NOT NULL and checks."""
    if old.default != new.default:
        yield _default(old, new)
    yield from _nullability(pair, old, new)
    yield from _checks(pair, old, new)


def _alter(domain: Domain, action: str) -> Sql:
    return Sql(f"ALTER DOMAIN {qualified_name(domain.name)} {action}")


def _default(old: Domain, new: Domain) -> Step:
    return Step(
        name=slug("default", new.name),
        phase="expand",
        reason="It holds for rows that come; those that are there keep their value.",
        up=(_alter(new, _default_action(new)),),
        down=(_alter(old, _default_action(old)),),
        needs=optional_needs(new.default),
        frees=optional_needs(old.default),
    )


def _default_action(domain: Domain) -> str:
    return "DROP DEFAULT" if domain.default is None else f"SET DEFAULT {default(domain.default)}"


# --- NOT NULL ---


def _nullability(pair: Pair, old: Domain, new: Domain) -> Iterator[Step]:
    if old.nullable and not new.nullable:
        yield Step(
            name=slug("not_null", new.name),
            phase="contract",
            reason="Rows that are there are looked at once.",
            up=(_required(pair, new),),
            down=(_alter(new, "DROP NOT NULL"),),
            again="the name of the constraint is taken (42710); nothing is changed" if new.not_null else None,
            blocks=_blocks(pair, old),
            ends_old=True,
        )
    elif not old.nullable and new.nullable:
        yield Step(
            name=slug("nullable", new.name),
            phase="expand",
            reason="Only the catalog changes.",
            up=(_alter(new, "DROP NOT NULL"),),
            down=(_required(pair, old),),
        )
    elif (
        not new.nullable
        and _not_null_name(old) != _not_null_name(new)
        and pair.version >= NAMED_NOT_NULLS_SINCE
    ):
        yield _renamed(new, _not_null_name(old), _not_null_name(new))


def _required(pair: Pair, domain: Domain) -> Sql:
    if domain.not_null is not None and domain.not_null.name and pair.version >= NAMED_NOT_NULLS_SINCE:
        return _alter(domain, f"ADD CONSTRAINT {identifier(domain.not_null.name)} NOT NULL")
    return _alter(domain, "SET NOT NULL")


def _not_null_name(domain: Domain) -> str:
    given = domain.not_null.name if domain.not_null else None
    return given or default_name(domain.name.name, "", "not_null")


def _renamed(domain: Domain, before: str, after: str) -> Step:
    return Step(
        name=slug("rename", before),
        phase="contract",
        reason="Only the name of a constraint changes.",
        up=(_alter(domain, f"RENAME CONSTRAINT {identifier(before)} TO {identifier(after)}"),),
        down=(_alter(domain, f"RENAME CONSTRAINT {identifier(after)} TO {identifier(before)}"),),
        again="there is no constraint of the old name any more (42704); nothing is changed",
    )


def _blocks(pair: Pair, domain: Domain) -> str | None:
    columns = columns_of_type(pair.before, domain.name)
    if not columns:
        return None
    told = ", ".join(columns[:3])
    return f"nobody writes to the tables of {told} while their rows are looked at; a domain has no other form"


# --- checks ---


def _checks(pair: Pair, old: Domain, new: Domain) -> Iterator[Step]:
    found = changes(old.checks, new.checks)
    for check in found.removed:
        yield Step(
            name=slug("drop", check.name),
            phase="expand",
            reason="Only the catalog changes.",
            up=(_dropped(new, check),),
            down=(_added(old, check),),
            frees=constraint_needs(check),
        )
    for check in found.added:
        yield _add(old, check, former=None)
        yield from _validated(pair, new, check)
    for former, check in found.changed:
        if former.expression != check.expression:
            yield _add(old, check, former)
        if former.expression != check.expression or (check.validated and not former.validated):
            yield from _validated(pair, new, check)


def _dropped(domain: Domain, check: Check) -> Sql:
    return _alter(domain, f"DROP CONSTRAINT IF EXISTS {identifier(check.name)}")


def _added(domain: Domain, check: Check) -> Sql:
    return _alter(domain, f"ADD {constraint_clause(check)}")


def _not_valid(domain: Domain, check: Check) -> Sql:
    clause = constraint_clause(check)
    return _alter(domain, f"ADD {clause}" + (" NOT VALID" if check.validated else ""))


def _add(domain: Domain, check: Check, former: Check | None) -> Step:
    """It holds for new values at once; those that are there are looked at later."""
    back = () if former is None else (_added(domain, former),)
    return Step(
        name=slug("check", check.name),
        phase="contract",
        reason="NOT VALID: no row is looked at, new values are.",
        up=(_dropped(domain, check), _not_valid(domain, check)),
        down=(_dropped(domain, check), *back),
        ends_old=True,
        needs=constraint_needs(check),
        frees=constraint_needs(former) if former else (),
    )


def _validated(pair: Pair, domain: Domain, check: Check) -> Iterator[Step]:
    if not check.validated:
        return
    online = pair.version >= VALIDATED_ONLINE_SINCE
    yield Step(
        name=slug("validate", check.name),
        phase="contract",
        reason="Reads every value of the domain"
        + (" under a lock that lets clients read and write." if online else "."),
        up=(_alter(domain, f"VALIDATE CONSTRAINT {identifier(check.name)}"),),
        one_way="what is proven of the values stays true until the check is dropped",
        blocks=None if online else _blocks(pair, domain),
    )
