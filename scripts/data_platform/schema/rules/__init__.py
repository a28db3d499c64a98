"""The rules for a design, one room for each subject; `lint` gathers them. Adding a rule touches its room and its test."""
