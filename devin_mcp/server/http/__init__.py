"""One deployment for many people: who may call, how much at once, how it is observed and how it ends."""
