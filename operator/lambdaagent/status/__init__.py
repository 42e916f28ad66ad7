"""The status of an agent: conditions and phase, decided from its children alone. Pure."""
