"""The store on Qdrant: a collection behind an alias, its payload indexes, and the calls that bring a server there.

- `collection`: what a spec asks for
- `changes`: the calls from what a server has to that
- `engine`: the same on the engine in this process, to see what it does
"""
