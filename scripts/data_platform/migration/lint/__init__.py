"""Migrations read as PostgreSQL would run them, without a server.

- `state`, `base`, `described`: what is known of the database; `advance`, `create`, `alter`, `definitions` change it
- `session`, `locks`: the transaction, its settings, the locks that are held
- `types`, `expressions`, `effects`: PostgreSQL's facts: what a statement locks, rewrites, scans
- `rules`, `remedy`: what is a hazard, and the safe form made from the statement
- `programs`, `suppress`, `lint`: bodies, comments of the author, the walk through the files
- `fix`, `report`, `sarif`: what comes of the findings
"""
