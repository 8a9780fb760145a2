"""Accounts of sign-in: users, API keys, sessions. What is kept of them (`store`), and what is done with secrets (`secrets`)."""
