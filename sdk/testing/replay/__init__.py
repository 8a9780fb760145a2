"""Recorded histories against another model: who would have gone another way, waited, failed. In memory; nothing outside is touched."""
