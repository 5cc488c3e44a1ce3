"""How well a host's search finds our tools among those of other servers."""
