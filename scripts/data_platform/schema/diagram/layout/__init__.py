"""The layout of a diagram, from sizes and links alone: groups, places of boxes, routes of lines.

`groups` finds what belongs together, `places` puts it in rows and columns, `routes` finds the lines' ways between.
Pure and deterministic; knows nothing of databases.
"""
