"""Language models behind one protocol: Ollama, OpenAI-compatible, embedded, scripted.

`base` is the protocol, `select` chooses. Each provider is one module, with its wire beside it::

    ollama    ollama_format ollama_session context host
    openai    chat_completions openai_session
    llamacpp  engine llamacpp_child; weights sources
    scripted

A run puts layers in front of it: `memo` (never ask twice), `cache` (nor in another run) and
`meter` (count, and keep to a budget), each a `layer`.

All that speak HTTP share `transport`, `deadlines`, `retry` and `reply`.
"""
