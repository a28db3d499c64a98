"""Pipelines: rows from files, databases and HTTP into tables, exactly once, whatever is killed in between.

reading/  sources as streams of bytes that COPY takes
plan      which sources and transforms a target needs, and what is to be done in which transaction
run       doing it: one unit of work, its rows and its checkpoint a transaction
keeping   views and summaries that follow the store's own tables; projecting: read models of its events or its outbox
prove     the same on data of its own, killed, doubled, disordered and torn
"""
