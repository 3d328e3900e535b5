"""The demo: two rendered cameras, a broker, the agent, and what arrives."""
