"""`dpe migration backfill`: the fills of a change, run in batches on a live server.

- `jobs`: fills of a plan as jobs for `postgres.backfill`
- `report`: what was done, or would be, for a person and as JSON
"""
