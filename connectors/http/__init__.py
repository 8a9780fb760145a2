"""HTTP/REST: job type `flowledger:http`, and Camunda 8's `io.camunda:http-json:1`."""
