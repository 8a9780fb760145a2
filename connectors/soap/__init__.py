"""SOAP: operations of a service that is described by WSDL 1.1. Job type `flowledger:soap`."""
