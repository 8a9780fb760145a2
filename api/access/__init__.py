"""Who asks, and whether they may: rights and roles (`rights`), what each operation needs (`operations`), who is known (`known`), how accounts
change (`changes`), and the look at each request on all doors (`door`)."""
