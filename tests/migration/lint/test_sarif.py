"""Findings for machines: SARIF 2.1.0 and the annotations of GitHub."""

from __future__ import annotations

from data_platform.migration.lint.sarif import sarif, workflow_annotations
from data_platform.report.finding import Finding, in_order
from migration.lint.linting import linted

FINDINGS = in_order(
    linted("TRUNCATE a;\nSELEC 1;\n\\i b\nCREATE INDEX ON a (b);", name="dir with space/m.sql").findings
)


def finding(**more: str) -> Finding:
    return Finding(
        rule="data-loss", severity="error", evidence="parsed", line=1, column=2, **({"message": "m"} | more)
    )  # type: ignore[arg-type]


def test_sarif_names_the_rule_the_level_and_the_place() -> None:
    (run,) = sarif(FINDINGS, "1.2.3")["runs"]
    declared = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in declared}) == len(declared)
    for result, one in zip(run["results"], FINDINGS, strict=True):
        assert declared[result["ruleIndex"]]["id"] == result["ruleId"] == one.rule
        assert result["level"] == {"error": "error", "warning": "warning", "info": "note"}[one.severity]
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == "dir%20with%20space/m.sql"
        assert place["region"] == {"startLine": one.line, "startColumn": one.column}


def test_sarif_of_an_absolute_path_is_a_file_uri() -> None:
    document = sarif([finding(file="/tmp/a b.sql")], "1")
    location = document["runs"][0]["results"][0]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "file:///tmp/a%20b.sql"


def test_an_annotation_is_one_line() -> None:
    (line,) = workflow_annotations(
        [finding(file="a,b:c.sql", message="50%\nmore", fix="SELECT 1;")]
    ).splitlines()
    assert line == (
        "::error file=a%2Cb%3Ac.sql,line=1,col=2,title=data-loss::50%25%0Amore%0AInstead:%0ASELECT 1;"
    )


def test_levels_are_githubs() -> None:
    words = {line.partition(" ")[0] for line in workflow_annotations(FINDINGS).splitlines()}
    assert words == {"::error", "::warning", "::notice"}
