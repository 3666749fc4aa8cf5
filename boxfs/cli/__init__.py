"""The commands: configuration, wiring, what people see. Alone in reading argv and environment."""
