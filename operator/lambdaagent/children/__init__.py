"""The objects that an agent needs, as pure functions of the agent, the installation and the observed state."""
