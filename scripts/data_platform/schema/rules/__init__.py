"""The rules for a design, one room a subject. A new rule touches its room and its test."""
