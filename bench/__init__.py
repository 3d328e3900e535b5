"""Speed against peers and against the physical floor, as ratios of one run."""
