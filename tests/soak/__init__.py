"""Hours of trouble in minutes, as ``script/soak``: what grows on a device that is never left alone."""
