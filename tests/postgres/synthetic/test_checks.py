"""CHECK constraints of every common form are satisfied, and understood: nothing is left to the server's sorting."""

from __future__ import annotations

import re

from postgres.synthetic.conftest import Fill

UNDERSTOOD = """
a int CHECK (a > 0)
a int CHECK (a BETWEEN 5 AND 7)
a int CHECK (a >= 5 AND a < 8)
a int CHECK (10 < a)
a int CHECK (a <> 0)
a int CHECK (a NOT IN (1, 2, 3))
a int CHECK (a IN (100, 200))
a int CHECK (NOT (a < 10 OR a > 20))
a int CHECK (abs(a) <= 3)
a int CHECK (a % 5 = 0)
a int CHECK (mod(a, 7) = 0 AND a > 1000)
a int CHECK (a < 0)
a int CHECK (a IS NOT NULL)
a int CHECK (a IS NULL OR a > 5000)
a int CHECK (a = ANY ('{3,4}'::int[]))
a int CHECK (a < 2 ^ 3)
a int CHECK (coalesce(a, 0) >= 0)
a int CHECK (coalesce(a, 0) > 0)
a bigint CHECK (a > 10000000000)
a smallint CHECK (a >= 32760)
a numeric(4,3) CHECK (a >= 0 AND a <= 1)
a numeric CHECK (a > 0.5 AND a < 0.75)
a real CHECK (a >= -1 AND a <= 1)
a double precision CHECK (a > '0'::double precision AND a < 1)
a money CHECK (a > '5'::money)
a text CHECK (a <> '')
a text CHECK (length(a) BETWEEN 3 AND 5)
a text CHECK (char_length(btrim(a)) >= 40)
a text CHECK (octet_length(a) = 8)
a text CHECK (btrim(a) <> '')
a text CHECK (a = btrim(a))
a text CHECK (a = lower(a))
a text CHECK (upper(a) = a)
a text CHECK (lower(a) IN ('x', 'y'))
a text CHECK (a ~ '^[A-Z]{2}[0-9]{6}$')
a text CHECK (a ~* '^[a-z]+@[a-z]+\\.(com|org)$')
a text CHECK (a !~ '\\s')
a text CHECK (a ~ '^\\+[1-9][0-9]{6,14}$')
a text CHECK (a ~ '^(draft|final)-v[0-9]+(\\.[0-9]+)*$')
a text CHECK (a ~ '^[[:alpha:]][[:alnum:]_-]*$' AND length(a) <= 12)
a text CHECK (a LIKE 'AB%')
a text CHECK (a NOT LIKE '% %')
a text CHECK (a ILIKE '%@%.%')
a text CHECK (a SIMILAR TO '[a-c]{3}')
a text CHECK (position('@' in a) > 1)
a text CHECK (starts_with(a, 'https://'))
a varchar(10) CHECK (a IN ('open', 'paid'))
a varchar(3) CHECK (a ~ '^[A-Z]{3}$')
a char(2) CHECK (a = upper(a))
a boolean CHECK (a)
a boolean CHECK (NOT a)
a boolean CHECK (a IS NOT FALSE)
a date CHECK (a >= '2020-01-01')
a date CHECK (a > '1999-12-31' AND a < '2000-01-03')
a date CHECK (a <= CURRENT_DATE)
a date CHECK (extract(day FROM a) = 1)
a date CHECK (extract(isodow FROM a) < 6)
a date CHECK (a = date_trunc('month', a))
a timestamptz CHECK (a > '2021-05-05 10:00:00+02')
a timestamptz CHECK (extract(year FROM a) = 2025)
a timestamptz CHECK (a = date_trunc('hour', a))
a timestamptz CHECK (a > now() - interval '1 year' AND a < now() + interval '1 day')
a time CHECK (a >= '08:00' AND a < '18:30')
a interval CHECK (a > '1 day' AND a <= '3 days')
a jsonb CHECK (jsonb_typeof(a) = 'object')
a jsonb CHECK (jsonb_typeof(a) = 'array' AND jsonb_array_length(a) >= 2)
a jsonb CHECK (a ? 'kind')
a jsonb CHECK (a ->> 'name' IS NOT NULL)
a text[] CHECK (cardinality(a) BETWEEN 1 AND 3)
a text[] CHECK (array_length(a, 1) >= 4)
a text[] CHECK (a <@ ARRAY['red', 'green'])
a int4range CHECK (NOT isempty(a))
a int4range CHECK (lower(a) >= 0 AND upper(a) <= 100)
a numeric CHECK (a <@ '[1,5)'::numrange)
a bytea CHECK (octet_length(a) = 32)
a bytea CHECK (length(a) <= 4)
a inet CHECK (a IS NOT NULL)
a int, b int CHECK (a < b)
a int, b int CHECK (a <= b)
a int, b int CHECK (a <> b)
a int, b int CHECK (a = b)
a int, b int CHECK (b > a + 10)
a int, b int CHECK (a % 10 = 0 AND b % 10 = 0 AND a < b)
a int, b int CHECK (b - a BETWEEN 3 AND 9)
a int, b int, c int CHECK (a < b AND b < c)
a numeric(10,2), b numeric(10,2) CHECK (a >= 0 AND b >= 0 AND a <= b)
a int, b numeric(6,1) CHECK (a < b)
a date, b date CHECK (a < b)
a date, b date CHECK (b >= a + 7)
a date, b timestamptz CHECK (a < b)
a timestamptz, b timestamptz CHECK (b >= a + interval '15 minutes')
a timestamptz, b timestamptz CHECK (b - a <= interval '8 hours' AND b > a)
a time, b time CHECK (a < b)
a int, b int CHECK (num_nonnulls(a, b) = 1)
a int, b int, c text CHECK (num_nonnulls(a, b, c) >= 2)
a int, b int CHECK (num_nulls(a, b) IN (0, 2))
a int, b text CHECK ((a IS NULL) <> (b IS NULL))
a int, b text CHECK ((a IS NULL) = (b IS NULL))
a int, b text CHECK ((a IS NOT NULL)::int + (b IS NOT NULL)::int = 1)
a int, b text CHECK ((CASE WHEN a IS NULL THEN 0 ELSE 1 END + CASE WHEN b IS NULL THEN 0 ELSE 1 END) <= 1)
a text, b timestamptz CHECK ((a = 'sent') = (b IS NOT NULL)) CHECK (a IN ('new', 'sent'))
a text, b timestamptz CHECK (a IN ('new', 'sent')) CHECK (a <> 'sent' OR b IS NOT NULL)
a text, b int CHECK (CASE a WHEN 'x' THEN b > 100 WHEN 'y' THEN b IS NULL ELSE b < 0 END)
a text, b int CHECK (CASE WHEN a = 'x' THEN b > 100 ELSE true END)
a text, b int, c int CHECK ((a = 'p' AND b IS NOT NULL AND c IS NULL) OR (a = 'q' AND b IS NULL AND c IS NOT NULL))
a boolean, b text CHECK (NOT a OR b IS NOT NULL)
a boolean, b text CHECK (a = (b IS NOT NULL))
a int, b int CHECK (a IS DISTINCT FROM 5 AND b IS NOT DISTINCT FROM 6)
a numeric(10,2), b int, c numeric(12,2) CHECK (c = a * b) CHECK (b BETWEEN 1 AND 9)
a text, b text CHECK (b = lower(a))
a text, b text CHECK (a <> b)
a int, b int CHECK (a > 0 AND (b IS NULL OR b > a))
""".strip().splitlines()


def test_understood(fill: Fill) -> None:
    """One table for each line; the columns are NOT NULL unless the check speaks of NULL."""
    tables = []
    for place, line in enumerate(UNDERSTOOD):
        optional = re.search(r"NULL|coalesce|num_n", line)
        columns = (
            line
            if optional
            else re.sub(
                r"(\b[abc] [a-z0-9]+( precision)?(\([0-9,]+\))?(\[\])?)(?=,| CHECK)", r"\1 NOT NULL", line
            )
        )
        tables.append(f"CREATE TABLE t{place} ({columns});")
    world = fill("".join(tables), 200)
    noted = {
        UNDERSTOOD[int(name[1:])]: (f.rows, f.note)
        for name, f in world.filled.items()
        if f.note or f.rows < 200
    }
    assert noted == {}


def test_alternatives_all_occur(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE orders (
            status text NOT NULL CHECK (status IN ('open', 'paid', 'shipped')),
            shipped_at timestamptz,
            card text, account text,
            CHECK ((status = 'shipped') = (shipped_at IS NOT NULL)),
            CHECK (num_nonnulls(card, account) = 1)
        )
        """,
        300,
    )
    assert sorted(world.all("SELECT DISTINCT status FROM orders")) == ["open", "paid", "shipped"]
    assert (
        len(world.all("SELECT DISTINCT card IS NULL, account IS NULL, shipped_at IS NULL FROM orders")) == 4
    )


def test_what_is_not_understood_is_sorted_out_by_the_server(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE t (a int NOT NULL, b int NOT NULL, CONSTRAINT odd CHECK ((a * b) % 3 = 1));
        CREATE TABLE s (at timestamptz NOT NULL CHECK (extract(hour FROM at) BETWEEN 9 AND 17));
        """,
        400,
    )
    assert world.filled["s"].rows == 400
    filled = world.filled["t"]
    assert filled.rows == 400
    assert re.fullmatch(r"odd is judged by the server: \d+ % of [\d,]+ rows passed", filled.note or "")


def test_what_nothing_satisfies_is_named(fill: Fill) -> None:
    world = fill(
        """
        CREATE TABLE never (a int NOT NULL, CONSTRAINT impossible CHECK (a * a = -1));
        CREATE TABLE contradiction (a int NOT NULL CHECK (a > 5), CONSTRAINT small CHECK (a < 3));
        CREATE TABLE child (n int NOT NULL);
        """,
        20,
    )
    assert world.filled["never"].rows == 0
    assert "no more rows were found that satisfy impossible" in (world.filled["never"].note or "")
    assert world.filled["contradiction"].rows == 0
    assert "a" in (world.filled["contradiction"].note or "")
    assert world.filled["child"].rows == 20


def test_domains_over_domains_and_their_checks(fill: Fill) -> None:
    world = fill(
        """
        CREATE DOMAIN percent AS numeric(5,2) CHECK (VALUE >= 0 AND VALUE <= 100);
        CREATE DOMAIN discount AS percent CHECK (VALUE <= 30);
        CREATE DOMAIN handle AS text CHECK (VALUE ~ '^@[a-z]{3,8}$') CHECK (VALUE <> '@admin');
        CREATE DOMAIN strange AS int CHECK ((VALUE * VALUE) % 5 = 4);
        CREATE TABLE t (a discount NOT NULL, h handle UNIQUE, p percent, CHECK (a < p));
        CREATE TABLE s (id int PRIMARY KEY, x strange NOT NULL);
        """,
        500,
    )
    assert world.filled["t"].note is None
    assert world.filled["t"].rows == 500
    assert world.filled["s"].rows == 500
    assert "passed" in (world.filled["s"].note or "")
