"""The federation transport over NATS with JetStream."""
