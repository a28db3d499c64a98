"""Schemas: from a design to DDL, a diagram, findings, and a proof on a real server."""
