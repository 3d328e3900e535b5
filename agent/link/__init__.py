"""The link to the broker: messages, topics, session, and the queue in front of it."""
