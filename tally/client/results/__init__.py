"""What the client's questions are answered with: frozen, and readable in a notebook."""
