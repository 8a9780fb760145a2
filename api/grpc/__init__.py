"""The Zeebe gateway: `gateway_protocol.Gateway`, so that existing Zeebe clients, workers and models connect as they are."""
