"""SQL text: identifiers, expressions and statements by PostgreSQL's own grammar; templates that hold no raw value."""
