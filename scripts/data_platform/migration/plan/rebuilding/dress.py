"""What a table has only while it bears its own name: triggers, policies, rules; and what names it elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from data_platform.ddl.constraints import constraint_comment
from data_platform.ddl.hanging import index_comments, policy_pieces, rule_pieces, trigger_pieces
from data_platform.migration.plan import views
from data_platform.migration.plan.rebuilding.names import is_named
from data_platform.migration.plan.rebuilding.trees import Tree, Trees
from data_platform.migration.plan.rebuilding.values import same_columns
from data_platform.migration.plan.text import bare
from data_platform.model.database import Check, Database, Function, Policy, Publication, Table, View
from data_platform.sql.references import of_expression, of_script, of_signature
from data_platform.sql.templates import render
from data_platform.sql.text import Sql, identifier, qualified_name


def dressed(tree: Tree) -> Iterator[Sql]:
    """Everything of the table and its partitions, by their last names."""
    for table in tree.tables:
        for pieces in (rule_pieces(table, "tables"), policy_pieces(table), trigger_pieces(table, "tables")):
            yield from (bare(piece.statement.sql) for piece in pieces)
        yield from _comments(table)


def _comments(table: Table) -> Iterator[Sql]:
    """Of what was made after the table. Checks may come later still, and bring theirs."""
    for constraint in table.constraints:
        if not isinstance(constraint, Check):
            yield from (
                bare(piece.statement.sql) for piece in constraint_comment(table, constraint, "tables")
            )
    yield from (bare(piece.statement.sql) for piece in index_comments(table, "tables"))


def undressed(tree: Tree) -> Iterator[Sql]:
    """The reverse; that row security is on stays."""
    for table in tree.tables:
        on = qualified_name(table.name)
        yield from (Sql(f"DROP TRIGGER IF EXISTS {identifier(one.name)} ON {on}") for one in table.triggers)
        yield from (Sql(f"DROP POLICY IF EXISTS {identifier(one.name)} ON {on}") for one in table.policies)
        yield from (Sql(f"DROP RULE IF EXISTS {identifier(one.name)} ON {on}") for one in table.rules)


# --- elsewhere ---


def views_aside(trees: Trees) -> tuple[tuple[Sql, ...], tuple[Sql, ...]]:
    """What is run before and after for the views: where the columns stay, each is only bound to the other table."""
    if same_columns(trees):
        return (), tuple(_replaced(view) for view in _views(trees))
    return views.aside(trees.pair, {trees.name})


def _replaced(view: View) -> Sql:
    text = bare(render("ddl/view.sql.j2", view=view))
    return Sql(text.replace("CREATE VIEW", "CREATE OR REPLACE VIEW", 1))


def named_again(trees: Trees) -> Iterator[Sql]:
    """Functions and policies that were bound to the one table are bound to the one that has its name now."""
    for function in _functions(trees):
        yield bare(render("ddl/function.sql.j2", function=function, empty=False, again=True))
    for table, policy in _policies(trees):
        yield Sql(f"DROP POLICY IF EXISTS {identifier(policy.name)} ON {qualified_name(table.name)}")
        yield bare(render("ddl/policy.sql.j2", policy=policy, table=table.name))


def _views(trees: Trees) -> Iterator[View]:
    """Those that are there before the swap: the old ones, and new ones that the new table's name was needed for."""
    old = {view.name: view for view in trees.pair.before.views}
    new = {view.name: view for view in trees.pair.after.views}
    for view in {**new, **old}.values():
        if is_named(trees.name, of_script(view.query)):
            yield view


def _functions(trees: Trees) -> Iterator[Function]:
    for function in _both(trees.pair.before, trees.pair.after, "functions"):
        body = function.sql_body
        if body is not None and is_named(
            trees.name, of_signature(function.arguments, function.returns, body)
        ):
            yield function


def _policies(trees: Trees) -> Iterator[tuple[Table, Policy]]:
    old = {table.name: table for table in trees.pair.before.tables}
    mine = {table.name for table in (*trees.old.tables, *trees.new.tables)}
    for table in trees.pair.after.tables:
        if table.name in mine or table.name not in old:
            continue
        for policy in table.policies:
            conditions = filter(None, (policy.using, policy.with_check))
            if policy in old[table.name].policies and any(
                is_named(trees.name, of_expression(one)) for one in conditions
            ):
                yield table, policy


def _both(before: Database, after: Database, field: str):  # type: ignore[no-untyped-def]
    old = getattr(before, field)
    return (one for one in getattr(after, field) if one in old)


# --- publications ---


def unpublished(trees: Trees) -> Iterator[Sql]:
    """Publications that name the table, or a partition of it, are about the other one from the swap on."""
    for publication, published in _published(trees, trees.old):
        name, table = identifier(publication.name), qualified_name(published.table)
        yield Sql(f"ALTER PUBLICATION {name} DROP TABLE {table}")


def published_again(trees: Trees) -> Iterator[Sql]:
    """The reverse, for the new table."""
    for publication, published in _published(trees, trees.new):
        part = render("ddl/published_table.sql.j2", published=published, only=False)
        yield Sql(f"ALTER PUBLICATION {identifier(publication.name)} ADD {part}")


def _published(trees: Trees, tree: Tree):  # type: ignore[no-untyped-def]
    mine = {table.name for table in tree.tables}
    publication: Publication
    for publication in _both(trees.pair.before, trees.pair.after, "publications"):
        for published in publication.tables:
            if published.table in mine:
                yield publication, published
