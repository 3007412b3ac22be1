"""One module per library that builds models: each turns a card and a weights file into what an Encoder runs."""
