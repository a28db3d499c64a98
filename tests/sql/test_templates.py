"""Templates print only what a filter has made SQL."""

from __future__ import annotations

import jinja2
import pytest
from jinja2.exceptions import SecurityError

from data_platform.resources import resource
from data_platform.sql import templates
from data_platform.sql.text import NotSql, Sql


def environment(source: str) -> jinja2.Template:
    return templates._environment().from_string(source)


def test_a_raw_value_is_an_error() -> None:
    with pytest.raises(TypeError, match="no filter has made SQL"):
        environment("DROP TABLE {{ name }}").render(name="x; --")


def test_a_filtered_value_is_quoted() -> None:
    assert environment("DROP TABLE {{ name|name }}").render(name='x"; --') == 'DROP TABLE "x""; --"'


def test_a_missing_name_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        environment("{{ nothing|name }}").render()


def test_joining_by_hand_does_not_launder_a_value() -> None:
    with pytest.raises(TypeError):
        environment("{{ 'a' ~ name }}").render(name=Sql("b"))


def test_the_sandbox_holds() -> None:
    with pytest.raises(SecurityError):
        environment("{{ ''.__class__.__mro__ }}").render()


def test_an_expression_that_is_two_is_refused() -> None:
    with pytest.raises(NotSql):
        environment("CHECK ({{ text|expression }})").render(text="true); DROP TABLE t; --")


def test_no_template_prints_without_a_filter() -> None:
    """Each `{{ … }}` is a filter's result or a part that the renderer made with a template of its own."""
    parts = {"constraint", "check", "object"}
    from pathlib import Path

    for path in sorted(Path(resource("templates", "ddl")).glob("*.j2")):
        tree = jinja2.Environment(autoescape=False).parse(path.read_text())
        for output in tree.find_all(jinja2.nodes.Output):
            for node in output.nodes:
                if isinstance(node, jinja2.nodes.TemplateData | jinja2.nodes.Filter):
                    continue
                assert isinstance(node, jinja2.nodes.Name), f"{path.name}: {node}"
                assert node.name in parts, f"{path.name}: {node}"
