"""How tokens move: the verbs that elements share, and the life of an activity."""
