"""A design as a picture.

mermaid   the `erDiagram` of all tables
page      a page of its own to search, zoom and follow, from
facts     what it says of each table
layout    where everything stands
drawing   boxes and lines as SVG
"""
