"""The edge: speaks the public API, knows which worker serves what, and keeps no state."""
