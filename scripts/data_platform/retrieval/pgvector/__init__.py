"""The store on PostgreSQL: tables, search functions, indexes, and the order in which they are made.

- `names`: what everything is called
- `store`: the files
"""
