"""``edgeward doctor``: looks at everything that a pipeline needs, in the order in which it needs it.

Runs beside the agent or without one; each probe is a file of ``agent/doctor/probes``.
"""
