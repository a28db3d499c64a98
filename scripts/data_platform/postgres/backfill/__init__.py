"""Rows of a big table filled in batches, while clients go on and whatever happens.

- `job`: what is to be filled; `way`: how a table is gone through, by a key or by pages
- `place`: the table in which each job's place is kept, written in the transaction of the batch
- `pace`: how many rows a batch has, and when the next one may begin; `watch`: a second session that sees who waits
- `run`: the loop; `rehearse`: a few batches taken back, for an estimate
"""
