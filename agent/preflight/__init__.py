"""Preflight, the agent's side: a child for each variant, watched, judged, ranked, reported and kept."""
