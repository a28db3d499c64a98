"""Vectors on a server: loaded, indexed, searched and measured.

- `settings`: an index, a search, distances: values
- `bench`: a table of vectors and a table of queries to try indexes on
- `cpu`: what a server process used
"""
