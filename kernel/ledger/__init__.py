"""The ledger of one decision: what it may know (`facts`), what it records and takes back (`recording`), how it looks at values (`looking`)."""
