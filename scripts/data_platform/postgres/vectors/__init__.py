"""Vectors on a server: loaded, indexed, searched and measured.

- `settings`: an index, a search, distances: values
- `bench`: a table of vectors and a table of queries to try indexes on
- `cpu`: what a server process used
- `sessions`: who may write at a time, and errors of the server as ours
- `apply`, `create`, `rights`: a store's SQL files, its making, who sees its rows
- `load`, `switch`: documents into a store, and from one model to another
- `ask`, `points`, `facts`: questions to a store, its rows in order, what `diagnose` looks at
"""
