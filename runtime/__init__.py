"""One worker process: loads a bundle and runs its streams through the native core."""
