"""Parts for whoever moves money: a plug-in of Flowledger."""
