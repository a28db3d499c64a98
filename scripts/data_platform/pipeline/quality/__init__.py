"""Data quality: checks as SQL, what a server answered as verdicts, and both for people and other tools."""
