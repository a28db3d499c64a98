"""A design as one HTML file to explore: its tables as a map, with search and the details of each table.

The file loads nothing and sends nothing. What came from the database stands in escaped text, or in a block of JSON
that the page's script puts into it as text only; the Content-Security-Policy names that script and the style by their
hashes, so that no other runs.
"""

from __future__ import annotations

from typing import Any

from data_platform.model.design import Design
from data_platform.report.document import Code, shown
from data_platform.report.html import html_environment
from data_platform.schema.diagram import facts
from data_platform.schema.diagram.drawing import FOOT, HEADER, ROW, Drawing, drawing
from data_platform.schema.diagram.layout.letters import LINE
from data_platform.schema.diagram.layout.places import WIDTH


def page(design: Design) -> str:
    """The whole page. The same design gives the same bytes."""
    drawn = drawing(design)
    template = html_environment().get_template("diagram/page.html.j2")
    return template.render(
        store=shown(Code(design.store)),
        version=design.server_version,
        drawing=drawn,
        data=_data(design, drawn),
        width=WIDTH,
        header=HEADER,
        line=LINE,
        hues={box.number: area.hue for area in drawn.areas for box in area.boxes},
    )


def _data(design: Design, drawn: Drawing) -> dict[str, Any]:
    """What the script needs: the tables with their boxes, the foreign keys and the access patterns."""
    tables = facts.tables(design)
    for area in drawn.areas:
        for box in area.boxes:
            place = [round(box.place.x, 1), round(box.place.y, 1), box.place.height]
            tables[box.number] |= {"box": place, "hue": area.hue, "shown": box.columns}
    return {
        "tables": tables,
        "references": facts.references(design),
        "patterns": facts.patterns(design),
        "sizes": {"width": WIDTH, "header": HEADER, "row": ROW, "foot": FOOT},
        "size": [round(drawn.width, 1), round(drawn.height, 1)],
    }
