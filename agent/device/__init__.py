"""Which board this is, what is known of it, and how it fares."""
