"""A pipeline on data of its own: run twice, killed, torn, doubled, out of order, drifted, two at once.

data    rows that a spec's sources might have, and where they lie
trial   one world for one run: databases, files, a server of pages; and the runs in it, each a process of its own
faults  what is done to a trial, and what must be true afterwards
living  worlds in which others write while runs go on (stores), and what is kept must be its query or a replay (kept)
child   the process that runs and is killed
"""
