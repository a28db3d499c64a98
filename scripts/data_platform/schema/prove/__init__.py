"""The proof of a schema on a real server.

prove        the order of things, and the verdict
patterns     access patterns planned and run
attempts     rows inserted on trial and taken back
breaking     values that break a check
constraints  each constraint tried with a row that breaks it
deletes      each ON DELETE tried
indexes      why each index is there
checklist    the Quality Checklist, item by item
findings     what the run has against the design
verdict      what it amounts to
result       what was found, as data
report       the same for a person, and as JSON
"""
