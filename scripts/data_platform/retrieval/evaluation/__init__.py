"""How good a store's answers are: against exact search, against judgements, with filters, and how quick.

- `judgements`: queries with what is relevant to them
- `evaluate`: the measurements
- `told`: what came out
"""
