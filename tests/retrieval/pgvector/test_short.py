"""A filter whose rows are all far from the question: the index alone would give up before it found k of them."""

from __future__ import annotations

import numpy as np

from data_platform.postgres.server import Database
from data_platform.retrieval.pgvector.names import names_of
from retrieval.pgvector.stores import WIDTH, copied, spec_of, store


def test_rows_far_from_the_question_are_found_all_the_same(database: Database) -> None:
    drawn, spec = np.random.default_rng(7), spec_of(hybrid=None, settings={"prefilter_rows": 100, "m": 8})
    near = drawn.normal(size=(24_000, WIDTH)).astype(np.float32) * 0.2 + 1
    far = drawn.normal(size=(600, WIDTH)).astype(np.float32) * 0.2 - 1
    values = np.concatenate([near, far])
    with store(database, spec) as connection:
        ids = copied(connection, spec, values, ["near"] * len(near) + ["far"] * len(far))
        connection.execute("ANALYZE")
        connection.execute("SET enable_sort = off")  # so few rows it would read and sort all the same
        search = names_of(spec).search.name
        far_ids = set(ids[len(near) :])
        for query in near[:5]:
            got = connection.execute(
                f"SELECT chunk_id FROM help.{search}(%s, 10, category => 'far')".encode(), [query]
            ).fetchall()
            assert len(got) == 10
            assert {one for (one,) in got} <= far_ids
