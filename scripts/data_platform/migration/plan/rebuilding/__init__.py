"""A table built again beside itself: what it is made of, how it is kept in step, and how it takes the old one's place.

- `trees`: the table and its partitions on both sides, and what each part is called while both are there
- `values`: what the new rows are made of, and the key by which an old row and its copy belong together
- `carry`: the trigger that carries every change over
- `refuse`: what cannot be built again, and why
- `beside`: the new table's statements; `dress`: what it gets only in the swap; `swap`: the swap itself
- `references`: foreign keys of the table and of others to it
"""
