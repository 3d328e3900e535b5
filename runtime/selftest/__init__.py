"""Does this device decode video, reach a source, and run the native core: one question a child process."""
