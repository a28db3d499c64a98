"""From one schema to another while clients go on: expand, backfill, contract.

- `step`, `hints`: what a plan is made of, and what the author adds to two schemas
- `plan`: all differences as steps, in order; one module for each kind of object
- `prove`: the plan made on a real server, until the old schema has become the new one
"""
