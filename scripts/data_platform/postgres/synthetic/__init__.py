"""Synthetic rows for every table of a database: valid by its constraints, and the same ones for the same seed.

A map, in the order in which things happen:

- What must hold: `keys` (what may not repeat) and `checks`, read from parse trees (`trees`, `terms`, `comparisons`,
  `sums`) into `facts` about columns. A way to satisfy all checks is a world; `worlds` finds them.
- What values there are: a `space` gives each number a different text. `values` chooses one by type (`kinds`): `lines`
  over `linear` scales, `texts` from `words` and `pattern`s, `scattered`, `vectors`.
- What is chosen together in a row: `units`, made for a `subject` (a table in its setting) by `columns`, `parents` and
  `intervals`. They get their numbers in `steps`, which `keying` and `plan` put together: drawn, counted, `placing` for
  keys over several units, `ordering` for columns that are compared. Everything random comes from a `stream`.
- `rows` runs a plan in blocks; `load` sends them by COPY, and lets the server sort out what was not understood.
  `generator` does so for all tables in `order`, with `circle`s of foreign keys; `fresh` finds one more row.
"""

from data_platform.postgres.synthetic.generator import Filled, Generator

__all__ = ["Filled", "Generator"]
