"""Google Cloud by its REST interfaces: Pub/Sub and Cloud Tasks."""
