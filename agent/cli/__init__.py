"""The ``edgeward`` command: one module a subcommand."""
