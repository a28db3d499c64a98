"""What is wrong with the vectors of a database, from facts that were read: a rule a function.

- `rules`: facts → findings
- `queries`: a query → findings, from its tree and its plan
"""
