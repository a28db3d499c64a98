"""A pipeline spec as a project of another engine, and whether its SQL gives the same rows there.

types      PostgreSQL's types in the words of DuckDB and Spark
dialects   one SELECT in these words: typed, rewritten where they differ, refused where they cannot agree
rules      what is known to agree, what is rewritten, and what is refused, a rule an entry
tellers    made-up rows on which engines that differ are told apart
prove      every transform run on PostgreSQL and on the engine, rows compared
project    what a rendering is: files, and findings about what the engine cannot do
merges     how a batch comes into its target, as queries that all of them read
landing    what is common where the sources land in PostgreSQL first: dlt, dbt, SQLMesh
look       a spec becomes a job for one of them

postgres, duckdb, spark, dlt, dbt, sqlmesh and schedulers are the targets.
"""
