"""Worker processes: start, talk, watch, restart."""
