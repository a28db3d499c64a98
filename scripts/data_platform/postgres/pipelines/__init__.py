"""Runs of pipelines on their target: every step's rows and its checkpoint are one transaction.

state      runs, checkpoints, quarantine, tombstones; one run of a pipeline at a time
relations  columns, keys and constraints of what is there; tables made where they are not
staging    a stream of bytes into a temporary table; rows that are not of their types go into quarantine
merging    from a relation into its target: add, merge by key, replace, exchange
reading    rows out of another PostgreSQL, in windows that miss no late commit
"""
