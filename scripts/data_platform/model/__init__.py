"""What a database is, as frozen data: tables, columns, constraints, indexes, types; and how two of them differ."""
