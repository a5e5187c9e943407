"""loop: structured loops, schedules and register tiles."""
