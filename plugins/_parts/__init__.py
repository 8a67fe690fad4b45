"""What task types are made of; nothing here is a task type, and nothing but task types imports it."""
