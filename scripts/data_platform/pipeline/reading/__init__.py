"""Sources as streams of bytes that COPY takes: no row of a file is touched by Python unless a record is torn."""
