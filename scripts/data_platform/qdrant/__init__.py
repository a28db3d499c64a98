"""Qdrant's REST interface, for whoever has points to keep there.

- `calls`: one call as data, and what a server has
- `rest`: the calls made
- `points`: writes that an older version of a point never overwrites
"""
