"""What policies say about tenants, read from their text: settings, columns, and tables that were forgotten."""

from __future__ import annotations

import pytest

from data_platform.model.database import Database, Function, Name, Policy, Table
from data_platform.schema.prove.tenancy import Compared, Guarded, by_name, settings_in, tenancy
from schema.designs import design


def _database(
    policies: str, more: str = "", columns: str = "tenant_id: uuid, user_id: uuid, id: bigint"
) -> Database:
    text = f"""
tables:
  t:
    columns: {{{columns}}}
    row_security: forced
    policies: {{{policies}}}
{more}"""
    return design(text).database


def _only(database: Database) -> Guarded:
    (guard,) = tenancy(database).guarded
    return guard


@pytest.mark.parametrize(
    ("using", "compared"),
    [
        ("tenant_id = current_setting('a.t')::uuid", [("tenant_id", "a.t")]),
        ("current_setting('a.t', true)::uuid = tenant_id", [("tenant_id", "a.t")]),
        ("t.tenant_id::text = nullif(current_setting('a.t', true), '')", [("tenant_id", "a.t")]),
        ("tenant_id = (SELECT current_setting('a.t')::uuid)", [("tenant_id", "a.t")]),
        ("tenant_id::text = ANY (string_to_array(current_setting('a.t'), ','))", [("tenant_id", "a.t")]),
        (
            "tenant_id = current_setting('a.t')::uuid AND user_id = current_setting('a.u')::uuid",
            [("tenant_id", "a.t"), ("user_id", "a.u")],
        ),
        ("EXISTS (SELECT FROM o WHERE o.tenant_id = current_setting('a.t')::uuid)", []),
        ("current_setting('a.t', true) IS NOT NULL", []),
        ("tenant_id IS NOT NULL AND id > 0", None),
    ],
)
def test_columns_and_settings(using: str, compared: list[tuple[str, str]] | None) -> None:
    database = _database("")
    (table,) = database.tables
    with_policy = Table(
        name=table.name,
        columns=table.columns,
        row_security="forced",
        policies=(Policy(name="p", using=using),),
    )
    guarded = tenancy(Database(tables=(with_policy,))).guarded
    if compared is None:
        assert guarded == ()
    else:
        assert [guard.compared for guard in guarded] == [tuple(Compared(*pair) for pair in compared)]


@pytest.mark.parametrize(
    ("body", "language"),
    [
        ("SELECT current_setting('a.t')::uuid", "sql"),
        ("BEGIN RETURN current_setting ( 'a.t', true ); END", "plpgsql"),
        ("BEGIN RETURN inner_one(); END", "plpgsql"),
    ],
)
def test_settings_through_functions_in_any_language(body: str, language: str) -> None:
    functions = by_name(
        [
            Function(name=Name("app", "tenant"), language=language, returns="uuid", body=body),
            Function(
                name=Name("app", "inner_one"),
                language="sql",
                returns="uuid",
                body="SELECT current_setting('a.t')",
            ),
        ]
    )
    assert settings_in("tenant_id = app.tenant()", functions) == ("a.t",)


def test_a_function_that_calls_itself_ends() -> None:
    functions = by_name([Function(name=Name("a", "f"), language="sql", returns="int", body="SELECT f()")])
    assert settings_in("f()", functions) == ()


def test_a_word_in_a_string_or_a_comment_is_no_call() -> None:
    assert settings_in("x = 'current_setting(''a.t'')' -- current_setting('a.u')", {}) == ()


def test_the_column_that_most_tables_compare_is_the_main_one() -> None:
    policy = "policies: {p: {using: \"tenant_id = current_setting('a.t')::uuid\"}}"
    more = f"  u: {{columns: {{tenant_id: uuid}}, row_security: on, {policy}}}"
    read = tenancy(_database("p: {using: \"user_id = current_setting('a.u')::uuid\"}", more))
    assert read.main in (Compared("tenant_id", "a.t"), Compared("user_id", "a.u"))
    read = tenancy(
        _database(
            "p: {using: \"tenant_id = current_setting('a.t')::uuid AND user_id = current_setting('a.u')::uuid\"}",
            more,
        )
    )
    assert read.main == Compared("tenant_id", "a.t")
    assert [read.first(guard) for guard in read.guarded] == [read.main, read.main]


def test_forgotten_tables_have_the_column_and_no_security() -> None:
    own = "p: {using: \"tenant_id = current_setting('a.t')::uuid\"}"
    more = """
  tenants: {columns: {tenant_id: {type: uuid, primary_key: true}}}
  other_type: {columns: {tenant_id: text}}
  plans: {columns: {id: bigint}}
  secured: {columns: {tenant_id: uuid}, row_security: on}
"""
    database = _database(own, more)
    assert [table.name.name for table in tenancy(database).forgotten(database)] == ["tenants"]


@pytest.mark.parametrize(
    ("policies", "applying", "means"),
    [
        ("a: {using: SETTING}", {"a"}, True),
        ("a: {using: SETTING}", set(), False),
        ("a: {using: SETTING}, b: {using: 'true', roles: [support]}", {"a", "b"}, False),
        ("a: {using: SETTING}, b: {using: 'true'}", {"a", "b"}, True),
        ("a: {using: SETTING, permissive: false}, b: {using: 'true', roles: [app]}", {"a", "b"}, True),
        ("a: {using: SETTING, permissive: false}", {"a"}, False),
    ],
)
def test_which_roles_are_tenants(policies: str, applying: set[str], means: bool) -> None:
    setting = "\"tenant_id = current_setting('a.t')::uuid\""
    assert _only(_database(policies.replace("SETTING", setting))).means(applying) is means
