"""A migration run on a real server, with rows and clients: what it locks, rewrites, stalls, loses, and leaves behind.

    proof = prove(statements, base, server, options)

A map, in the order in which things happen:

- `prove` leads: base schema into an empty scratch database, which `copies` makes more of.
- `rehearsal` runs the migration on empty tables, and on a few rows: what it touches, which rows pass (`conform`).
- `rows` fills tables; `session` runs a statement as a tool would, `run` all of them in their transactions; `watch`
  looks on from a second connection; `clients` says what live clients ask, `crowd` which are at work; `live` puts these
  together, and `observe` makes results of what was seen, with `messages` of the server's own.
- `state` and `roundtrip` compare schema and rows after up, down and up; `recovery` kills; `patterns` asks what the
  application asks; `growth` extrapolates.
- `verdict`, `findings`, `timeline` and `report` say it. Data are in `result`.
"""
