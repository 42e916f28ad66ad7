"""Everything in one process on a laptop: agents as local processes, the gateway in front, events in between."""
