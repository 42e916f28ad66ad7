"""The commands by which people and scripts see and steer agents that work together, at a gateway."""
