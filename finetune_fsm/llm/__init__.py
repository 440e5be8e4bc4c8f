"""Language models behind one protocol: Ollama, OpenAI-compatible, embedded, scripted."""
