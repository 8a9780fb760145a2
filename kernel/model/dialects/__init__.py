"""What models of other engines say in their extension elements."""
