"""SQL text: identifiers, expressions and statements checked by PostgreSQL's own grammar; templates that cannot be injected."""
