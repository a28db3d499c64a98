"""What data quality asks of a server: one scan for all that can share it, samples, keys from elsewhere, history."""
