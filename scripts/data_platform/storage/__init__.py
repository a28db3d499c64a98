"""Which system should hold the data: thirteen of them ranked by what a need asks, every mark with its reason."""
