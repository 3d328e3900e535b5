"""Which bundles may run: verified by a child process, so that the agent stays small and unexposed."""
