"""Health: small checks, one a file, and the numbers of the moment."""
