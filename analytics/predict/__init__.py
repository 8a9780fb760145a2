"""What becomes of a running instance: learned by counting from ended ones, and measured on later ones before it is told."""
