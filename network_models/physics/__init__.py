"""Forward models of spectral lines and telescopes in keras.ops, differentiable on any backend."""
