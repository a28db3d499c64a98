"""The gate: who owns what in the user's project, read from its claude.md. Standard library only.

search        which files, nearest first, and their text
markdown      lines, headings, rows, items; fences and comments are no text
section       the Project Scope section as data
names         whether two names of a store, a role or a team are the same
placeholders  what is still the unedited template
decision      the verdict
messages      the protocol's exact words
edit          `scope init`: the section written into claude.md
"""

from data_platform.scope.decision import Decision, Store, check, stores

__all__ = ["Decision", "Store", "check", "stores"]
