"""Messages between agents: accepted durably, delivered in the receiver's own protocol or fetched from its mailbox."""
