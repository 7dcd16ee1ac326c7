"""Python clients of the public API; they need neither numpy nor the engine."""
