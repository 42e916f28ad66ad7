"""What is said of an agent: conditions and phase, decided from its children alone. Pure."""
