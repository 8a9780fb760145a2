"""What would happen: a model run on the kernel with a clock of its own, its work done by drawn people and machines."""
