"""Migrations: read as their tools run them, linted, planned, rendered and proven on a real server."""
