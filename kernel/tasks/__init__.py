"""What work knows beyond its life cycle: assignment, clocks, limits and breakers, schemas, registries. Pure."""
