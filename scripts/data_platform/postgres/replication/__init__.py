"""The change stream of another PostgreSQL: what it says, what it comes to, and the slot that keeps it for us.

decoding  pgoutput's messages, pure
netting   what changes of a table come to, key by key, pure
slots     publication, slot and snapshot on the source; what is wrong with them
stream    the session that reads: whole transactions up to a position, confirmed once they are kept
"""
