"""`dpe scope`: ask the gate, write the scope, say the protocol's words. Standard library only."""

from __future__ import annotations

from data_platform.cli.contract import Command, Invocation, Outcome, with_force, with_output
from data_platform.record import TYPE_CHECKING
from data_platform.scope.decision import Decision, check

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from data_platform.report.finding import Finding
    from data_platform.scope.answers import Answers

_MATTER = "[defining requirements / architecture decisions]"
_TO = "[TPO / Solutions Architect]"


# check


def _declare_check(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="NAME", help="ask about this data store, not only about the project"
    )


def _check(invocation: Invocation) -> Outcome:
    decision = check(invocation.arguments.project, invocation.arguments.store)
    findings = _leaks(decision)
    warnings = "".join(f"\n{finding.place}: {finding.message}; {finding.fix}" for finding in findings)
    return Outcome(
        text=decision.message + warnings,
        result={"message": decision.message},
        findings=findings,
        decision=decision,
    )


def _leaks(decision: Decision) -> tuple[Finding, ...]:
    lines = decision.details.get("leaks", ())
    if not lines:
        return ()
    from data_platform.report.finding import Finding  # noqa: PLC0415

    return tuple(
        Finding(
            rule="password-in-scope",
            severity="warning",  # the verdict is another matter: the store may well be ours
            message="a URL in this line holds a password, which everybody who reads the repository can read",
            evidence="parsed",
            file=decision.file,
            line=line,
            fix="change the password, and name an environment variable instead: env:NAME",
        )
        for line in lines
    )


def _declare_init(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--answers", metavar="FILE.yaml", help="read the answers from a file; options add to it"
    )
    parser.add_argument("--name", metavar="PROJECT", help="the project's name")
    parser.add_argument("--team", help="our team, lower case")
    parser.add_argument("--owner", metavar="@PERSON", help="who fills the role Data Platform Engineer")
    parser.add_argument("--ticket-system", choices=("linear", "github", "none"), help="default: none")
    parser.add_argument("--main-branch", metavar="BRANCH", help="default: main")
    for option, values, text in (
        (
            "--own",
            ("STORE", "ENGINE", "CONNECTION"),
            "a data store of ours, its engine, and env:NAME of its URL",
        ),
        ("--other", ("STORE", "TEAM", "ENGINE"), "another team's data store"),
        ("--domain", ("DOMAIN", "ROLE", "PERSON"), "a domain and the role that owns it"),
        ("--role", ("ROLE", "PERSON", "SCOPE"), "another role that is active on the project"),
    ):
        shown = f"{text} ({' '.join(values)})"
        parser.add_argument(option, nargs="+", action="append", default=[], metavar=values[:2], help=shown)
    parser.add_argument("--dry-run", action="store_true", help="show the diff and write nothing")
    with_force(parser)


def _init(invocation: Invocation) -> Outcome:
    from data_platform.cli.files import replace  # noqa: PLC0415
    from data_platform.errors import EnvironmentProblem, UsageProblem  # noqa: PLC0415
    from data_platform.scope import edit  # noqa: PLC0415
    from data_platform.scope.answers import CannotWrite, checked  # noqa: PLC0415

    arguments = invocation.arguments
    try:
        change = edit.plan(invocation.project, checked(_answers(invocation)), force=arguments.force)
        write = change.changes and not arguments.dry_run
        if write:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            replace(change.path, change.after)
    except CannotWrite as fault:
        raise UsageProblem(str(fault), try_=fault.try_) from fault
    except OSError as fault:
        raise EnvironmentProblem(f"{fault.strerror}", where=str(fault.filename or "")) from fault
    name = _relative(invocation, str(change.path))
    did = "Wrote" if write else ("Would write" if change.changes else "Already up to date:")
    diff = change.diff(name)
    return Outcome(
        text=f"{did} {name}\n\n{diff}" if diff else f"{did} {name}",
        result={"file": name, "changed": change.changes, "dry_run": arguments.dry_run, "diff": diff},
        artifacts=(name,) if write else (),
    )


def _relative(invocation: Invocation, path: str) -> str:
    import os.path  # noqa: PLC0415

    return os.path.relpath(path, invocation.project)


def _answers(invocation: Invocation) -> Answers:
    from data_platform.scope.answers import Answers, DomainAnswer, RoleAnswer, StoreAnswer  # noqa: PLC0415

    arguments = invocation.arguments
    base = _answers_of_file(arguments.answers) if arguments.answers else Answers("", "", "", ())
    given = {
        "project": arguments.name,
        "team": arguments.team,
        "owner": arguments.owner,
        "ticket_system": arguments.ticket_system,
        "main_branch": arguments.main_branch,
    }
    own = (StoreAnswer(*_values("--own", values, 1)) for values in arguments.own)
    others = (
        StoreAnswer(name, owner=team, engine=engine[0] if engine else "-")
        for name, team, *engine in (_values("--other", values, 2) for values in arguments.other)
    )
    domains = (DomainAnswer(*_values("--domain", values, 2)) for values in arguments.domain)
    roles = (RoleAnswer(*_values("--role", values, 1)) for values in arguments.role)
    return base._replace(
        **{field: value for field, value in given.items() if value is not None},
        stores=(*base.stores, *own, *others),
        domains=(*base.domains, *domains),
        roles=(*base.roles, *roles),
    )


def _values(option: str, values: list[str], least: int) -> list[str]:
    from data_platform.errors import UsageProblem  # noqa: PLC0415

    if not least <= len(values) <= 3:
        raise UsageProblem(
            f"{option} takes {least} to 3 values, not {len(values)}", try_="dpe scope init --help"
        )
    return values


def _answers_of_file(path: str) -> Answers:
    from pathlib import Path  # noqa: PLC0415

    from data_platform.errors import UsageProblem  # noqa: PLC0415
    from data_platform.scope.answers import from_yaml  # noqa: PLC0415

    try:
        return from_yaml(Path(path))
    except ImportError as fault:
        raise UsageProblem(
            "reading YAML needs PyYAML, which this Python does not have",
            try_="give options instead, or `dpe setup` and then the Python that `dpe doctor` names",
        ) from fault


def _declare_dependency(parser: ArgumentParser) -> None:
    parser.add_argument("--theirs", metavar="STORE", required=True, help="the store that is not ours")
    parser.add_argument("--owner", help="its owner (default: as the scope says)")
    parser.add_argument(
        "--ours", metavar="STORE", action="append", help="our store (default: all that are ours)"
    )
    parser.add_argument("--name", metavar="PROJECT", help="the project's name (default: as the scope says)")
    parser.add_argument("--context", help="which of our systems needs the data")
    parser.add_argument("--data", help="what data, in what format, how fresh")
    parser.add_argument("--pattern", help="API, CDC, batch export, shared view ...")
    parser.add_argument("--question", action="append", help="a question to the owner; may be repeated")
    with_output(parser)


def _dependency(invocation: Invocation) -> Outcome:
    from data_platform.scope.dependency import Need, fill  # noqa: PLC0415

    arguments = invocation.arguments
    need = Need(
        theirs=arguments.theirs,
        owner=arguments.owner,
        ours=tuple(arguments.ours or ()),
        project=arguments.name,
        context=arguments.context,
        data=arguments.data,
        pattern=arguments.pattern,
        questions=tuple(arguments.question or ()),
    )
    text, still_open = fill(invocation.project, need)
    return Outcome(text=text, result={"text": text, "open": list(still_open)})


def _declare_message(parser: ArgumentParser) -> None:
    parser.add_argument("kind", choices=("activation", "refusal", "routing", "set-up", "usage"))
    parser.add_argument("--request", default="(not stated)", help="activation: the request in one line")
    parser.add_argument("--matter", default=_MATTER, help="routing: what the request is about")
    parser.add_argument("--to", default=_TO, help="routing: who handles that")


def _message(invocation: Invocation) -> Outcome:
    from data_platform.scope.messages import PREFIX, echo, message  # noqa: PLC0415

    arguments = invocation.arguments
    match arguments.kind:
        case "activation":
            text = message("activation", {"request": echo(arguments.request)})
        case "routing":
            text = message("routing", {"matter": echo(arguments.matter), "role": echo(arguments.to)})
        case kind:
            text = message(kind)
    # The set-up prompt's own words have no prefix, but every message has one.
    text = text if text.startswith(PREFIX) else PREFIX + text
    return Outcome(text=text, result={"kind": arguments.kind, "message": text})


COMMANDS = (
    Command(
        noun="scope",
        verb="check",
        summary="may work start in this project, and on this data store?",
        example='dpe scope check --store "Customer DB" --json',
        declare=_declare_check,
        run=_check,
        gated=False,
        needs_environment=False,
        quick=True,
    ),
    Command(
        noun="scope",
        verb="init",
        summary="write the Project Scope section into the project's claude.md",
        example=(
            "dpe scope init --name Storefront --team platform --owner @data --ticket-system github \\\n"
            '    --own "Customer DB" postgresql env:CUSTOMER_DB_URL --other "Billing DB" "Billing Team" \\\n'
            "    --dry-run"
        ),
        declare=_declare_init,
        run=_init,
        gated=False,
        needs_environment=False,
    ),
    Command(
        noun="scope",
        verb="dependency",
        summary="write down what we need from a data store that is not ours",
        example='dpe scope dependency --theirs "Billing DB" --data invoices --pattern "shared view"',
        declare=_declare_dependency,
        run=_dependency,
        gated=False,
        needs_environment=False,
    ),
    Command(
        noun="scope",
        verb="message",
        summary="the protocol's exact words",
        example='dpe scope message activation --request "add an orders table"',
        declare=_declare_message,
        run=_message,
        gated=False,
        needs_environment=False,
    ),
)
