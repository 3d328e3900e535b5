"""The daemon and the command line: supervises workers, links to the broker. Loads no vision library."""
