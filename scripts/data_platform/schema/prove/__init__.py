"""The proof of a schema on a real server.

prove          the order of things, and the verdict
apply          the DDL, by whoever may
comparison     the catalog against the model
aside          triggers and row-level security switched off, and on again
filling        rows for every table that holds some
patterns       access patterns planned and run
attempts       rows inserted on trial and taken back
breaking       values that break a check
constraints    each constraint tried with a row that breaks it (generated: keys over generated columns)
deletes        each ON DELETE tried
indexes        why each index is there
partitions     where rows go, and which partitions are read (bounds)
isolation      tables tried as another tenant: by what policies say (tenancy), as whom (subjects), with which rows
               (samples); tables that look the tenant up (elsewhere); what is promised (promises)
interference   views and functions asked with and without other tenants' rows (callable), in whatever table these are
               (holdings); copies: triggers that carry them elsewhere
refresh        materialized views refreshed under a reader
triggers       each trigger made to fire, by statements of its own (events)
grants         privileges tried as each role, on everything that has some (privileges)
ground         what these stages stand on; sessions: one statement as a role, taken back
checklist      the Quality Checklist, item by item
findings       what the run has against the design, and what to change in the model (remedies)
verdict        what it amounts to
result         what was found, as data
report         the same for a person, and as JSON; claims_report: of the later stages
"""
